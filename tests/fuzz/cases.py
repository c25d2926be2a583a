"""Every method that is fuzzed, with proper requests to begin from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bertline.inference.v1 import inference_pb2 as pb
from bertline.models.v1 import models_pb2 as models
from google.protobuf.descriptor import Descriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from open_inference import grpc_service_pb2 as oip

from benchmarks.messages import open_request
from tests.fuzz.target import MODELS, TEXT

READ_ONLY = ("List", "Get")
"""How the names of ModelService's methods begin that change nothing."""


@dataclass(frozen=True, slots=True)
class Case:
    """A method. `proper` requests of it, at least one."""

    path: str
    request: Descriptor
    proper: list[Message]
    streaming: bool


def cases() -> list[Case]:
    """All methods of the inference services, those of ModelService that change nothing."""
    found = []
    for service in (
        pb.DESCRIPTOR.services_by_name["InferenceService"],
        oip.DESCRIPTOR.services_by_name["GRPCInferenceService"],
    ):
        found += [_case(service, method) for method in service.methods]
    service = models.DESCRIPTOR.services_by_name["ModelService"]
    return found + [_case(service, method) for method in service.methods if method.name.startswith(READ_ONLY)]


def _case(service: ServiceDescriptor, method: MethodDescriptor) -> Case:
    proper = list(PROPER.get(method.input_type.name, list)())  # type: ignore[operator]
    path = f"/{service.full_name}/{method.name}"
    return Case(path, method.input_type, proper, method.client_streaming)


def _selectors() -> Iterable[pb.ModelSelector]:
    yield from (pb.ModelSelector(name=name) for name in MODELS)
    yield pb.ModelSelector(name="tiny", label="canary")


def _texts(pair: bool = False) -> list[pb.TextInput]:
    second = {"text_pair": "球队赢了比赛"} if pair else {}
    return [pb.TextInput(text=text, **second) for text in (TEXT, "robot " * 60, "球队")]  # type: ignore[arg-type]


def _options() -> Iterable[pb.CallOptions]:
    yield pb.CallOptions()
    yield pb.CallOptions(truncation=pb.TRUNCATION_LEFT, priority=pb.PRIORITY_LOW, routing_key="me")
    yield pb.CallOptions(windows=pb.Windows(overlap_tokens=3, combination=pb.WINDOW_COMBINATION_MAX, max_windows=9))


def _classify() -> Iterable[pb.ClassifyRequest]:
    for selector in _selectors():
        for options in _options():
            inputs = _texts(pair=selector.name in {"pairs", "ranker"})
            yield pb.ClassifyRequest(
                model=selector, inputs=inputs, top_k=2, threshold=0.1, raw_scores=True, options=options
            )


def _stream() -> Iterable[pb.StreamClassifyRequest]:
    for number, request in enumerate(_classify()):
        yield pb.StreamClassifyRequest(id=str(number), request=request)


def _embed() -> Iterable[pb.EmbedRequest]:
    for options in _options():
        model = pb.ModelSelector(name="vectors")
        yield pb.EmbedRequest(
            model=model, inputs=_texts(), dimensions=4, format=pb.EMBEDDING_FORMAT_INT8, options=options
        )


def _score() -> Iterable[pb.ScoreRequest]:
    for name in ("ranker", "vectors"):
        for options in _options():
            candidates = [text.text for text in _texts()]
            yield pb.ScoreRequest(
                model=pb.ModelSelector(name=name), query=TEXT, candidates=candidates, top_k=2, options=options
            )


def _tag() -> Iterable[pb.TagRequest]:
    for options in _options():
        inputs = [pb.TextInput(text="Ada Lovelace saw new york 👩‍👩‍👧 王明"), *_texts()]
        model = pb.ModelSelector(name="tagger")
        yield pb.TagRequest(
            model=model, inputs=inputs, include_words=True, offset_unit=pb.OFFSET_UNIT_UTF16, options=options
        )


def _explain() -> Iterable[pb.ExplainRequest]:
    for text in _texts():
        model = pb.ModelSelector(name="tiny")
        yield pb.ExplainRequest(model=model, input=text, label="sports", max_evaluations=9, top_k=3)


def _infer() -> Iterable[oip.ModelInferRequest]:
    yield oip.ModelInferRequest.FromString(open_request("tiny", TEXT))
    yield oip.ModelInferRequest.FromString(open_request("pairs", (TEXT, "球队")))
    raw = oip.ModelInferRequest.FromString(open_request("tiny", TEXT))
    raw.inputs[0].ClearField("contents")
    raw.raw_input_contents.append(b"\x04\x00\x00\x00bank")
    raw.outputs.add(name="probabilities").parameters["classification"].int64_param = 2
    raw.parameters["timeout"].int64_param = 1_000_000
    yield raw
    ids = oip.ModelInferRequest(model_name="tiny", id="7")
    for name, values in (
        ("input_ids", [2, 5, 6, 3]),
        ("attention_mask", [1, 1, 0, 1]),
        ("token_type_ids", [0, 0, 0, 0]),
    ):
        tensor = ids.inputs.add(name=name, datatype="INT64", shape=[1, 4])
        tensor.contents.int64_contents.extend(values)
    yield ids


def _named(kind: type[Message]) -> list[Message]:
    return [kind(name=name) for name in MODELS]


PROPER = {
    "ClassifyRequest": _classify,
    "StreamClassifyRequest": _stream,
    "EmbedRequest": _embed,
    "ScoreRequest": _score,
    "TagRequest": _tag,
    "ExplainRequest": _explain,
    "ModelInferRequest": _infer,
    "ModelReadyRequest": lambda: _named(oip.ModelReadyRequest),
    "ModelMetadataRequest": lambda: _named(oip.ModelMetadataRequest),
    "ModelConfigRequest": lambda: _named(oip.ModelConfigRequest),
    "ModelStatisticsRequest": lambda: _named(oip.ModelStatisticsRequest),
    "RepositoryModelLoadRequest": lambda: [oip.RepositoryModelLoadRequest(model_name=name) for name in MODELS],
    "RepositoryModelUnloadRequest": lambda: [oip.RepositoryModelUnloadRequest(model_name="tagger")],
    "GetModelRequest": lambda: _named(models.GetModelRequest),
    "GetModelVersionRequest": lambda: [
        models.GetModelVersionRequest(name="tiny", version=1),
        models.GetModelVersionRequest(name="tiny", label="canary"),
    ],
}
