"""Classify where texts can have several labels, over real gRPC."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from bertline.inference.v1 import inference_pb2 as pb

from services.clients import Classified, InferenceClient
from tests.fakes.failed_calls import failure

TIMEOUT = 30.0
Stub = Any


def labels(tasks: Stub, text: str, **fields: Any) -> list[str]:
    asked = pb.ClassifyRequest(model=pb.ModelSelector(name="topics"), inputs=[pb.TextInput(text=text)], **fields)
    (result,) = tasks.Classify(asked, timeout=TIMEOUT).results
    return [each.label for each in result.classification.labels]


def test_a_text_has_every_label_that_reaches_its_threshold_best_first(tasks: Stub) -> None:
    assert labels(tasks, "bank goal") == ["sports", "business"]
    assert labels(tasks, "bank rate bank goal") == ["business"]


def test_a_text_about_nothing_has_no_label(tasks: Stub) -> None:
    assert labels(tasks, "the of and") == []


def test_a_threshold_of_the_caller_counts_instead(tasks: Stub) -> None:
    assert labels(tasks, "the of and", threshold=0.0) != []
    assert len(labels(tasks, "bank goal", threshold=0.0)) == 3
    assert labels(tasks, "bank goal", threshold=1.0) == []


def test_top_k_bounds_the_labels_that_apply(tasks: Stub) -> None:
    assert labels(tasks, "bank goal", top_k=1) == ["sports"]
    assert labels(tasks, "the of and", top_k=1) == []
    assert labels(tasks, "bank goal", top_k=0) == ["sports", "business"]


def test_each_probability_is_its_labels_own(tasks: Stub) -> None:
    asked = pb.ClassifyRequest(
        model=pb.ModelSelector(name="topics"), inputs=[pb.TextInput(text="bank goal")], raw_scores=True, threshold=0.0
    )
    found = tasks.Classify(asked, timeout=TIMEOUT).results[0].classification.labels
    assert sum(each.probability for each in found) > 1.5
    for each in found:
        assert each.probability == pytest.approx(1 / (1 + 2.718281828**-each.raw_score), abs=1e-4)


def test_windows_are_combined_before_labels_are_decided(tasks: Stub) -> None:
    text = "goal " * 30 + "bank " * 30
    assert labels(tasks, text) == ["sports"]
    read = pb.CallOptions(windows=pb.Windows(overlap_tokens=0, combination=pb.WINDOW_COMBINATION_MAX))
    assert set(labels(tasks, text, options=read)) == {"sports", "business"}


def test_a_stream_answers_alike(tasks: Stub) -> None:
    asked = pb.ClassifyRequest(model=pb.ModelSelector(name="topics"), inputs=[pb.TextInput(text="bank goal")])
    (answer,) = tasks.StreamClassify(iter([pb.StreamClassifyRequest(id="1", request=asked)]), timeout=TIMEOUT)
    found = answer.response.results[0].classification.labels
    assert [each.label for each in found] == ["sports", "business"]


def test_the_words_of_each_label_are_explained(tasks: Stub) -> None:
    asked = pb.ExplainRequest(
        model=pb.ModelSelector(name="topics"), input=pb.TextInput(text="bank goal"), label="business"
    )
    reply = tasks.Explain(asked, timeout=TIMEOUT)
    assert max(reply.words, key=lambda word: word.contribution).text == "bank"


def test_a_nonsense_threshold_is_refused(tasks: Stub) -> None:
    assert failure(lambda: labels(tasks, "bank", threshold=float("nan"))).reason == "OUT_OF_RANGE"


def test_the_client_leaves_it_to_the_model_unless_told(server_of_every_task: str) -> None:
    with InferenceClient(server_of_every_task) as client:
        both, none, one = (
            client.classify([text], model="topics", top_k=top_k).results[0]
            for text, top_k in (("bank goal", None), ("the of", None), ("bank goal", 1))
        )
        single = client.classify(["bank goal"], model="tiny").results[0]
    for result in (both, none, one, single):
        assert isinstance(result, Classified)
    assert [len(each.labels) for each in (both, none, one, single)] == [2, 0, 1, 1]  # type: ignore[union-attr]


def test_the_open_inference_protocol_tells_all_probabilities_and_the_thresholds(server_of_every_task: str) -> None:
    from open_inference import grpc_service_pb2 as oip
    from open_inference import grpc_service_pb2_grpc

    with grpc.insecure_channel(server_of_every_task) as channel:
        stub = grpc_service_pb2_grpc.GRPCInferenceServiceStub(channel)
        asked = oip.ModelInferRequest(model_name="topics")
        tensor = asked.inputs.add(name="text", datatype="BYTES", shape=[2])
        tensor.contents.bytes_contents.extend([b"bank goal", b"the of and"])
        answer = stub.ModelInfer(asked, timeout=TIMEOUT)
        metadata = stub.ModelMetadata(oip.ModelMetadataRequest(name="topics"), timeout=TIMEOUT)
    assert [list(output.shape) for output in answer.outputs] == [[2, 3], [2]]
    assert metadata.properties["task"] == "multi_label_classification"
    assert metadata.properties["thresholds"] == "0.9,0.9,0.9"


@pytest.mark.parametrize(("model", "to_do"), [("topics", "leave coverage unset"), ("tiny", "export its run again")])
def test_a_model_without_calibrated_sets_says_what_to_do_and_tells_no_scope(
    tasks: Stub, model: str, to_do: str
) -> None:
    asked = pb.ClassifyRequest(model=pb.ModelSelector(name=model), inputs=[pb.TextInput(text="银行 bank goal")])
    (result,) = tasks.Classify(asked, timeout=TIMEOUT).results
    assert not result.classification.HasField("scope")
    asked.coverage = 0.9
    failed = failure(lambda: tasks.Classify(asked, timeout=TIMEOUT))
    assert failed.reason == "NO_SETS"
    assert failed.message.endswith(to_do)
