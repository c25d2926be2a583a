"""The Open Inference Protocol on a real server, through stubs generated from our contract."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2, status_pb2
from hypothesis import given, settings
from hypothesis import strategies as st
from open_inference import grpc_service_pb2 as pb
from open_inference import grpc_service_pb2_grpc

from services.inference.settings import InferenceSettings
from tests.fakes.running_server import running_server
from tests.fakes.tiny_bundle import LABELS, VOCABULARY, publish_tiny

Tensor = pb.ModelInferRequest.InferInputTensor
Output = pb.ModelInferRequest.InferRequestedOutputTensor
Parameter = pb.InferParameter
Contents = pb.InferTensorContents
Stub = grpc_service_pb2_grpc.GRPCInferenceServiceStub

TIMEOUT = 10.0
TEXTS = ["The bank cut its rate.", "球队赢了比赛", "Robot software on a phone"]
ANSWERS = ["business", "sports", "technology"]
CLS, SEP, BANK, RATE, GOAL = (VOCABULARY.index(word) for word in ("[CLS]", "[SEP]", "bank", "rate", "goal"))


@pytest.fixture(scope="module")
def stub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stub]:
    registry: Path = tmp_path_factory.mktemp("registry")
    publish_tiny(registry, "tiny")
    publish_tiny(registry, "tiny", label="canary")
    publish_tiny(registry, "pairs", pair=True)
    served = InferenceSettings(registry=str(registry), port=0)
    with running_server(served) as target, grpc.insecure_channel(target) as channel:
        yield Stub(channel)


def raw_of(*elements: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(element)) + element for element in elements)


def text_request(texts: list[str], name: str = "text", **more: Any) -> pb.ModelInferRequest:
    return pb.ModelInferRequest(
        model_name=more.pop("model_name", "tiny"),
        inputs=[Tensor(name=name, datatype="BYTES", shape=[len(texts)])],
        raw_input_contents=[raw_of(*(text.encode() for text in texts))],
        **more,
    )


def ids_request(tensors: dict[str, list[list[int]]], dtype: str = "INT64", **more: Any) -> pb.ModelInferRequest:
    arrays = {name: np.array(rows, "<i8" if dtype == "INT64" else "<i4") for name, rows in tensors.items()}
    return pb.ModelInferRequest(
        model_name="tiny",
        inputs=[Tensor(name=name, datatype=dtype, shape=list(array.shape)) for name, array in arrays.items()],
        raw_input_contents=[array.tobytes() for array in arrays.values()],
        **more,
    )


def infer(stub: Stub, request: pb.ModelInferRequest) -> dict[str, Any]:
    """Output name -> array of floats or list of bytes, decoded as clients do it."""
    response = stub.ModelInfer(request, timeout=TIMEOUT)
    assert len(response.outputs) == len(response.raw_output_contents)
    decoded: dict[str, Any] = {}
    for output, raw in zip(response.outputs, response.raw_output_contents, strict=True):
        assert not output.HasField("contents")
        if output.datatype == "FP32":
            decoded[output.name] = np.frombuffer(raw, "<f4").reshape(output.shape)
            continue
        elements, position = [], 0
        while position < len(raw):
            (size,) = struct.unpack_from("<I", raw, position)
            elements.append(raw[position + 4 : position + 4 + size])
            position += 4 + size
        assert len(elements) == np.prod(output.shape)
        decoded[output.name] = elements
    return decoded


def refused(stub: Stub, request: pb.ModelInferRequest, code: grpc.StatusCode, message: str) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        stub.ModelInfer(request, timeout=TIMEOUT)
    assert caught.value.code() == code, caught.value.details()
    assert message in caught.value.details()
    return caught.value


def test_texts_go_in_and_labels_with_probabilities_come_out(stub: Stub) -> None:
    answer = infer(stub, text_request(TEXTS))
    assert [label.decode() for label in answer["label"]] == ANSWERS
    assert answer["probabilities"].shape == (3, len(LABELS))
    assert answer["probabilities"].sum(axis=1) == pytest.approx([1.0] * 3, abs=1e-5)
    assert [LABELS[best] for best in answer["probabilities"].argmax(axis=1)] == ANSWERS


def test_a_column_of_texts_and_typed_contents_give_the_same_answer(stub: Stub) -> None:
    column = text_request(TEXTS)
    column.inputs[0].shape[:] = [3, 1]
    typed = text_request(TEXTS)
    del typed.raw_input_contents[:]
    typed.inputs[0].contents.bytes_contents.extend(text.encode() for text in TEXTS)
    wanted = infer(stub, text_request(TEXTS))["probabilities"]
    np.testing.assert_array_equal(infer(stub, column)["probabilities"], wanted)
    np.testing.assert_array_equal(infer(stub, typed)["probabilities"], wanted)


def test_outputs_come_in_the_requested_order_with_the_requests_id(stub: Stub) -> None:
    request = text_request(TEXTS, id="call-7", outputs=[Output(name="label"), Output(name="probabilities")])
    response = stub.ModelInfer(request, timeout=TIMEOUT)
    assert [output.name for output in response.outputs] == ["label", "probabilities"]
    assert (response.id, response.model_name, response.model_version) == ("call-7", "tiny", "1")
    assert response.parameters["variant"].string_param == "fp32"
    only = stub.ModelInfer(text_request(TEXTS, outputs=[Output(name="label")]), timeout=TIMEOUT)
    assert [output.name for output in only.outputs] == ["label"]


def test_classification_gives_the_best_classes_first(stub: Stub) -> None:
    top = Output(name="probabilities", parameters={"classification": Parameter(int64_param=2)})
    response = stub.ModelInfer(text_request(TEXTS, outputs=[top]), timeout=TIMEOUT)
    assert list(response.outputs[0].shape) == [3, 2]
    elements = infer(stub, text_request(TEXTS, outputs=[top]))["probabilities"]
    value, index, label = elements[2].decode().split(":")
    assert (label, LABELS[int(index)]) == ("sports", "sports")
    probability = infer(stub, text_request(TEXTS))["probabilities"][1, int(index)]
    assert float(value) == pytest.approx(float(probability), abs=1e-6)
    assert float(value) > float(elements[3].decode().split(":")[0])


def test_more_classes_than_there_are_means_all(stub: Stub) -> None:
    top = Output(name="probabilities", parameters={"classification": Parameter(int64_param=2**40)})
    response = stub.ModelInfer(text_request(TEXTS, outputs=[top]), timeout=TIMEOUT)
    assert list(response.outputs[0].shape) == [3, len(LABELS)]


@pytest.mark.parametrize("dtype", ["INT64", "INT32"])
def test_token_ids_give_the_answer_of_their_text(stub: Stub, dtype: str) -> None:
    ids = {
        "input_ids": [[CLS, BANK, RATE, SEP], [CLS, GOAL, SEP, 0]],
        "attention_mask": [[1, 1, 1, 1], [1, 1, 1, 0]],
        "token_type_ids": [[0, 0, 0, 0], [0, 0, 0, 0]],
    }
    wanted = infer(stub, text_request(["bank rate", "goal"]))["probabilities"]
    np.testing.assert_allclose(infer(stub, ids_request(ids, dtype))["probabilities"], wanted, atol=1e-6)
    del ids["token_type_ids"]
    np.testing.assert_allclose(infer(stub, ids_request(ids, dtype))["probabilities"], wanted, atol=1e-6)


def test_a_hole_in_the_mask_hides_its_token(stub: Stub) -> None:
    holed = {"input_ids": [[CLS, GOAL, BANK, SEP]], "attention_mask": [[1, 0, 1, 1]]}
    without = {"input_ids": [[CLS, BANK, SEP]], "attention_mask": [[1, 1, 1]]}
    wanted = infer(stub, ids_request(without))["probabilities"]
    np.testing.assert_allclose(infer(stub, ids_request(holed))["probabilities"], wanted, atol=1e-6)


def test_a_model_of_pairs_takes_the_second_segment_from_text_pair(stub: Stub) -> None:
    request = text_request(["bank", "球队"], model_name="pairs")
    request.inputs.add(name="text_pair", datatype="BYTES", shape=[2])
    request.raw_input_contents.append(raw_of(b"rate", "比赛".encode()))
    assert infer(stub, request)["label"] == [b"business", b"sports"]


def test_a_text_that_was_cut_is_counted_in_the_response(stub: Stub) -> None:
    response = stub.ModelInfer(text_request(["bank " * 100, "goal"]), timeout=TIMEOUT)
    assert response.parameters["truncated_rows"].int64_param == 1


def malformed() -> dict[str, tuple[pb.ModelInferRequest, str]]:
    """Name -> request, and what the refusal says."""
    one = [[CLS, BANK, SEP]]
    ones = [[1, 1, 1]]
    both = text_request(["bank"])
    both.inputs[0].contents.bytes_contents.append(b"bank")
    twice = text_request(["bank"])
    twice.inputs.add(name="text", datatype="BYTES", shape=[1])
    twice.raw_input_contents.append(raw_of(b"bank"))
    mixed = ids_request({"input_ids": one, "attention_mask": ones})
    mixed.inputs.add(name="text", datatype="BYTES", shape=[1])
    mixed.raw_input_contents.append(raw_of(b"bank"))
    shared = text_request(["bank"])
    shared.inputs[0].parameters["shared_memory_region"].string_param = "region"
    lone_pair = text_request(["bank"], "text_pair")
    uneven = text_request(["bank"], model_name="pairs")
    uneven.inputs.add(name="text_pair", datatype="BYTES", shape=[2])
    uneven.raw_input_contents.append(raw_of(b"a", b"b"))
    unwanted_pair = text_request(["bank"])
    unwanted_pair.inputs.add(name="text_pair", datatype="BYTES", shape=[1])
    unwanted_pair.raw_input_contents.append(raw_of(b"b"))
    not_utf8 = text_request(["bank", "goal"])
    not_utf8.raw_input_contents[0] = raw_of(b"bank", b"\xb4\xf3")
    surplus = text_request(["bank"])
    surplus.raw_input_contents.append(b"")
    return {
        "no inputs": (pb.ModelInferRequest(model_name="tiny"), "send the input 'text'"),
        "unknown input": (text_request(["bank"], "txt"), "'txt' is unknown"),
        "raw and contents": (both, "'text' has contents although raw_input_contents"),
        "sent twice": (twice, "'text' is sent twice"),
        "texts and ids": (mixed, "texts and token ids in one request"),
        "shared memory": (shared, "'text' is in shared memory"),
        "pair alone": (lone_pair, "send the input 'text'"),
        "uneven pair": (uneven, "'text_pair' has 2 elements for 1 texts"),
        "pair to a model of texts": (unwanted_pair, "element 0 of input tensor 'text_pair': this model takes single"),
        "text to a model of pairs": (text_request(["a"], model_name="pairs"), "tensor 'text_pair': this model takes"),
        "empty text": (text_request(["bank", " "]), "element 1 of input tensor 'text': the text is empty"),
        "not UTF-8": (not_utf8, "'text' element 1 is not UTF-8 at byte 0"),
        "raw count": (surplus, "2 raw_input_contents for 1 inputs"),
        "too many": (text_request(["bank"] * 257), "'text' has 257 rows, more than 256"),
        "no mask": (ids_request({"input_ids": one}), "'attention_mask' is missing"),
        "mask shape": (ids_request({"input_ids": one, "attention_mask": [[1, 1]]}), "'attention_mask' has the shape"),
        "mask empty": (
            ids_request({"input_ids": one * 2, "attention_mask": [[1, 1, 1], [0, 0, 0]]}),
            "'attention_mask' row 1 masks every token",
        ),
        "mask values": (
            ids_request({"input_ids": one, "attention_mask": [[1, 2, 1]]}),
            "'attention_mask' row 0 holds something outside 0..1",
        ),
        "types": (
            ids_request({"input_ids": one, "attention_mask": ones, "token_type_ids": [[0, 0, 2]]}),
            "'token_type_ids' row 0 holds something outside 0..1",
        ),
        "ids": (
            ids_request({"input_ids": [[CLS, 10**6, SEP]], "attention_mask": ones}),
            f"'input_ids' row 0 holds something outside 0..{len(VOCABULARY) - 1}",
        ),
        "too long": (
            ids_request({"input_ids": [[BANK] * 33], "attention_mask": [[1] * 33]}),
            "'input_ids' row 0 has more than the 32 tokens",
        ),
        "ids as floats": (
            pb.ModelInferRequest(
                model_name="tiny",
                inputs=[
                    Tensor(name="input_ids", datatype="FP32", shape=[1, 1]),
                    Tensor(name="attention_mask", datatype="INT64", shape=[1, 1]),
                ],
                raw_input_contents=[bytes(4), bytes(8)],
            ),
            "'input_ids' has the datatype 'FP32'",
        ),
        "output": (text_request(["bank"], outputs=[Output(name="logits")]), "no output 'logits'"),
        "timeout": (text_request(["bank"], parameters={"timeout": Parameter(string_param="1")}), "'timeout' must be"),
    }


@pytest.mark.parametrize("name", malformed())
def test_a_malformed_request_is_an_invalid_argument_that_says_what_is_wrong(stub: Stub, name: str) -> None:
    request, message = malformed()[name]
    error = refused(stub, request, grpc.StatusCode.INVALID_ARGUMENT, message)
    packed = dict(error.trailing_metadata())["grpc-status-details-bin"]
    info = error_details_pb2.ErrorInfo()
    assert any(detail.Unpack(info) for detail in status_pb2.Status.FromString(packed).details)
    assert info.domain == "bertline"
    assert info.reason


@pytest.mark.parametrize("version", ["7", "beta", "9" * 4000, "x" * 100_000])
def test_an_unknown_version_is_not_found(stub: Stub, version: str) -> None:
    request = text_request(["bank"], model_version=version)
    refused(stub, request, grpc.StatusCode.NOT_FOUND, "no ")
    assert not stub.ModelReady(pb.ModelReadyRequest(name="tiny", version=version), timeout=TIMEOUT).ready


def test_an_unknown_model_is_not_found_but_merely_not_ready(stub: Stub) -> None:
    refused(stub, text_request(["bank"], model_name="absent"), grpc.StatusCode.NOT_FOUND, "'absent'")
    refused(stub, text_request(["bank"], model_name="x" * 100_000), grpc.StatusCode.NOT_FOUND, "named 'xxx")
    assert not stub.ModelReady(pb.ModelReadyRequest(name="absent"), timeout=TIMEOUT).ready
    assert stub.ModelReady(pb.ModelReadyRequest(name="tiny"), timeout=TIMEOUT).ready


@pytest.mark.parametrize(("version", "answered"), [("", "1"), ("stable", "1"), ("2", "2"), ("canary", "2")])
def test_versions_and_labels_choose_the_version(stub: Stub, version: str, answered: str) -> None:
    response = stub.ModelInfer(text_request(["bank"], model_version=version), timeout=TIMEOUT)
    assert response.model_version == answered
    assert stub.ModelReady(pb.ModelReadyRequest(name="tiny", version=version), timeout=TIMEOUT).ready


def test_a_timeout_parameter_is_a_deadline(stub: Stub) -> None:
    late = text_request(["bank"], parameters={"timeout": Parameter(int64_param=1)})
    refused(stub, late, grpc.StatusCode.DEADLINE_EXCEEDED, "deadline")
    soon = text_request(["bank"], parameters={"timeout": Parameter(int64_param=5_000_000)})
    assert infer(stub, soon)["label"] == [b"business"]


def test_a_priority_is_accepted(stub: Stub) -> None:
    assert infer(stub, text_request(["bank"], parameters={"priority": Parameter(uint64_param=2)}))["label"]


def test_the_server_is_live_and_ready_and_names_extensions_that_work(stub: Stub) -> None:
    assert stub.ServerLive(pb.ServerLiveRequest(), timeout=TIMEOUT).live
    assert stub.ServerReady(pb.ServerReadyRequest(), timeout=TIMEOUT).ready
    server = stub.ServerMetadata(pb.ServerMetadataRequest(), timeout=TIMEOUT)
    assert server.name == "bertline"
    assert set(server.extensions) == {"classification", "model_configuration", "model_repository", "statistics"}


@pytest.mark.parametrize(("model", "inputs"), [("tiny", ["text"]), ("pairs", ["text", "text_pair"])])
def test_metadata_and_configuration_describe_the_same_tensors(stub: Stub, model: str, inputs: list[str]) -> None:
    metadata = stub.ModelMetadata(pb.ModelMetadataRequest(name=model), timeout=TIMEOUT)
    config = stub.ModelConfig(pb.ModelConfigRequest(name=model), timeout=TIMEOUT).config
    assert [tensor.name for tensor in metadata.inputs] == inputs
    assert {tensor.name: list(tensor.shape) for tensor in metadata.outputs} == {
        "probabilities": [-1, len(LABELS)],
        "label": [-1],
    }
    # with a batch size, Triton's rule is: shape = batch, then dims
    described = {tensor.name: list(tensor.shape) for tensor in (*metadata.inputs, *metadata.outputs)}
    configured = {tensor.name: [-1, *tensor.dims] for tensor in (*config.input, *config.output)}
    assert described == configured
    assert (config.name, config.max_batch_size, config.HasField("dynamic_batching")) == (model, 256, True)
    assert {pb.DataType.Name(tensor.data_type) for tensor in config.input} == {"TYPE_STRING"}


def test_the_shapes_of_the_metadata_are_those_of_a_response(stub: Stub) -> None:
    metadata = stub.ModelMetadata(pb.ModelMetadataRequest(name="tiny"), timeout=TIMEOUT)
    response = stub.ModelInfer(text_request(TEXTS), timeout=TIMEOUT)
    promised = {output.name: [output.datatype, *output.shape[1:]] for output in metadata.outputs}
    assert {output.name: [output.datatype, *output.shape[1:]] for output in response.outputs} == promised
    assert metadata.versions == ["1", "2"]


def test_statistics_count_calls_and_rows(stub: Stub) -> None:
    one = pb.ModelStatisticsRequest(name="tiny", version="1")
    before = stub.ModelStatistics(one, timeout=TIMEOUT).model_stats[0]
    stub.ModelInfer(text_request(TEXTS), timeout=TIMEOUT)
    after = stub.ModelStatistics(one, timeout=TIMEOUT).model_stats[0]
    assert after.inference_stats.success.count == before.inference_stats.success.count + 1
    assert after.inference_stats.success.ns > before.inference_stats.success.ns
    assert after.inference_count == before.inference_count + 3
    assert after.execution_count > before.execution_count
    assert after.last_inference >= before.last_inference > 0 or before.last_inference == 0
    assert sum(batch.batch_size * batch.compute_infer.count for batch in after.batch_stats) == after.inference_count


def test_statistics_of_no_version_are_those_of_all_versions(stub: Stub) -> None:
    named = stub.ModelStatistics(pb.ModelStatisticsRequest(name="tiny"), timeout=TIMEOUT).model_stats
    assert [(each.name, each.version) for each in named] == [("tiny", "1"), ("tiny", "2")]
    everything = stub.ModelStatistics(pb.ModelStatisticsRequest(), timeout=TIMEOUT).model_stats
    assert [(each.name, each.version) for each in everything] == [("pairs", "1"), ("tiny", "1"), ("tiny", "2")]
    with pytest.raises(grpc.RpcError) as caught:
        stub.ModelStatistics(pb.ModelStatisticsRequest(name="absent"), timeout=TIMEOUT)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_the_repository_lists_what_is_loaded(stub: Stub) -> None:
    index = stub.RepositoryIndex(pb.RepositoryIndexRequest(), timeout=TIMEOUT).models
    assert [(each.name, each.version, each.state) for each in index] == [
        ("pairs", "1", "READY"),
        ("tiny", "1", "READY"),
        ("tiny", "2", "READY"),
    ]


def test_a_stream_answers_in_order_and_goes_on_after_an_error(stub: Stub) -> None:
    requests = [text_request([TEXTS[n % 3]], id=str(n)) for n in range(100)]
    requests[40] = text_request([""], id="40")
    requests[41] = text_request(["bank"], model_name="absent", id="41")
    responses = list(stub.ModelStreamInfer(iter(requests), timeout=30.0))
    assert [response.infer_response.id for response in responses] == [str(n) for n in range(100)]
    failed = {n: response.error_message for n, response in enumerate(responses) if response.error_message}
    assert set(failed) == {40, 41}
    assert "element 0 of input tensor 'text'" in failed[40]
    assert "'absent'" in failed[41]
    assert responses[99].infer_response.raw_output_contents[1] == raw_of(b"business")


def test_every_reply_carries_the_callers_correlation_id(stub: Stub) -> None:
    metadata = (("x-correlation-id", "trace-1"),)
    _, call = stub.ModelInfer.with_call(text_request(["bank"]), timeout=TIMEOUT, metadata=metadata)
    assert dict(call.trailing_metadata())["x-correlation-id"] == "trace-1"
    stream = stub.ModelStreamInfer(iter([text_request(["bank"])]), timeout=TIMEOUT, metadata=metadata)
    assert len(list(stream)) == 1
    assert dict(stream.trailing_metadata())["x-correlation-id"] == "trace-1"


names = st.sampled_from(["text", "text_pair", "input_ids", "attention_mask", "token_type_ids"]) | st.text(max_size=9)
parameters = st.dictionaries(
    st.sampled_from(["timeout", "priority", "classification", "shared_memory_region", "x"]),
    st.one_of(
        st.builds(Parameter, int64_param=st.integers(-(2**63), 2**63 - 1)),
        st.builds(Parameter, uint64_param=st.integers(0, 2**64 - 1)),
        st.builds(Parameter, string_param=st.text(max_size=9)),
        st.builds(Parameter),
    ),
    max_size=2,
)
contents = st.builds(
    Contents,
    bytes_contents=st.lists(st.binary(max_size=9), max_size=4),
    int64_contents=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4),
    int_contents=st.lists(st.integers(0, 40), max_size=4),
)
tensors = st.builds(
    Tensor,
    name=names,
    datatype=st.sampled_from(["BYTES", "INT64", "INT32", "FP32", ""]),
    shape=st.lists(st.integers(-1, 4) | st.integers(-(2**63), 2**63 - 1), max_size=3),
    parameters=parameters,
    contents=st.none() | contents,
)
raws = st.binary(max_size=40) | st.lists(st.binary(max_size=9), max_size=4).map(lambda each: raw_of(*each))
requests = st.builds(
    pb.ModelInferRequest,
    model_name=st.sampled_from(["tiny", "pairs", "absent"]),
    model_version=st.sampled_from(["", "1", "canary", "-1", "9" * 50]),
    inputs=st.lists(tensors, max_size=3),
    outputs=st.lists(
        st.builds(Output, name=st.sampled_from(["label", "probabilities", "x"]), parameters=parameters), max_size=2
    ),
    parameters=parameters,
    raw_input_contents=st.lists(raws, max_size=3),
)


@settings(deadline=None, max_examples=300)
@given(request=requests)
def test_arbitrary_requests_are_answered_or_refused_properly(stub: Stub, request: pb.ModelInferRequest) -> None:
    proper = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.DEADLINE_EXCEEDED}
    try:
        stub.ModelInfer(request, timeout=TIMEOUT)
    except grpc.RpcError as error:
        assert error.code() in proper, error


@settings(deadline=None, max_examples=150)
@given(
    ids=st.lists(st.integers(-1, 40), min_size=1, max_size=6),
    mask=st.lists(st.integers(0, 1), min_size=1, max_size=6),
    rows=st.integers(1, 3),
)
def test_arbitrary_ids_are_answered_or_refused_properly(stub: Stub, ids: list[int], mask: list[int], rows: int) -> None:
    try:
        answer = infer(stub, ids_request({"input_ids": [ids] * rows, "attention_mask": [mask] * rows}))
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    else:
        assert np.isfinite(answer["probabilities"]).all()
        assert len(answer["label"]) == rows


def test_statistics_tell_what_the_cache_answered_and_where_the_time_went(tmp_path: Path) -> None:
    publish_tiny(tmp_path, "tiny")
    served = InferenceSettings(registry=str(tmp_path), port=0, cache_bytes=1_000_000)
    with running_server(served) as target, grpc.insecure_channel(target) as channel:
        stub = Stub(channel)
        for _ in range(3):
            infer(stub, text_request(TEXTS))
        (counted,) = stub.ModelStatistics(pb.ModelStatisticsRequest(name="tiny"), timeout=TIMEOUT).model_stats
    stats = counted.inference_stats
    assert (stats.cache_miss.count, stats.cache_hit.count) == (3, 6)
    assert stats.success.count == stats.compute_output.count == 3
    assert stats.success.ns >= stats.compute_output.ns > 0
