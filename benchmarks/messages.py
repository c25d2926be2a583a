"""Requests made and replies judged: the only place where the benchmark knows the inference contracts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bertline.inference.v1 import inference_pb2 as pb
from google.rpc import error_details_pb2, status_pb2
from open_inference import grpc_service_pb2 as oip

from benchmarks.frames import status_details
from benchmarks.generator import Call
from benchmarks.texts import Text

SERVICE = pb.DESCRIPTOR.services_by_name["InferenceService"].full_name
OPEN_SERVICE = oip.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name
PATH = f"/{SERVICE}/Classify"
OPEN_PATH = f"/{OPEN_SERVICE}/ModelInfer"
PRIORITIES = {"low": pb.PRIORITY_LOW, "normal": pb.PRIORITY_NORMAL, "high": pb.PRIORITY_HIGH}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a reply says of one text."""

    label: str
    probability: float


def request(model: str, *texts: Text, priority: str = "normal") -> bytes:
    """A serialized call, for the best label whatever its probability."""
    asked = pb.ClassifyRequest(
        model=pb.ModelSelector(name=model), inputs=[_input(text) for text in texts], top_k=1, threshold=0.0
    )
    if priority != "normal":
        asked.options.priority = PRIORITIES[priority]
    return asked.SerializeToString()


def open_request(model: str, text: Text) -> bytes:
    """The same for one text in the Open Inference Protocol."""
    asked = oip.ModelInferRequest(model_name=model)
    for name, part in zip(("text", "text_pair"), (text,) if isinstance(text, str) else text, strict=False):
        tensor = asked.inputs.add(name=name, datatype="BYTES", shape=[1])
        tensor.contents.bytes_contents.append(part.encode())
    return asked.SerializeToString()


def _input(text: Text) -> pb.TextInput:
    first, second = (text, None) if isinstance(text, str) else text
    return pb.TextInput(text=first, text_pair=second)


def served(call: Call) -> tuple[int, str]:
    """Version and variant of the model that answered."""
    model = pb.ClassifyResponse.FromString(call.message).model
    return model.version, model.variant


def answers(call: Call, texts: int) -> list[Answer] | None:
    """The answers in a reply; None when it is not exactly one label with a probability for each of `texts` texts."""
    results = pb.ClassifyResponse.FromString(call.message).results
    found = [answer for result in results if (answer := _answer(result)) is not None]
    return found if len(results) == len(found) == texts else None


def answer_of(message: bytes) -> tuple[int, Answer] | None:
    """Version and answer in the reply to a call of one text; None when it is no proper answer."""
    reply = pb.ClassifyResponse.FromString(message)
    answer = _answer(reply.results[0]) if len(reply.results) == 1 else None
    return None if answer is None else (reply.model.version, answer)


def open_answer_of(message: bytes) -> tuple[int, Answer] | None:
    """The same of a reply in the Open Inference Protocol."""
    reply = oip.ModelInferResponse.FromString(message)
    raw = {tensor.name: content for tensor, content in zip(reply.outputs, reply.raw_output_contents, strict=False)}
    label, probabilities = raw.get("label", b""), raw.get("probabilities", b"")
    if len(label) < 5 or len(probabilities) < 8 or int.from_bytes(label[:4], "little") != len(label) - 4:
        return None
    best = max(memoryview(probabilities).cast("f"))
    return (int(reply.model_version), Answer(label[4:].decode(), best)) if 0.0 < best <= 1.0 else None


def wrong(calls: Sequence[Call], labels: Sequence[str], texts: int) -> int:
    """How many successful calls lack a proper answer with one of the model's labels to any of their `texts` texts."""
    known = set(labels)
    replies = (answers(call, texts) for call in calls if call.status == 0)
    return sum(reply is None or any(each.label not in known for each in reply) for reply in replies)


def retry_after(trailers: bytes) -> float | None:
    """Seconds after which the server asks a refused caller to come back; None when it says nothing."""
    info = error_details_pb2.RetryInfo()
    for detail in status_pb2.Status.FromString(status_details(trailers)).details:
        if detail.Unpack(info):
            return float(info.retry_delay.ToTimedelta().total_seconds())
    return None


def _answer(result: pb.ClassifyResult) -> Answer | None:
    labels = result.classification.labels
    if result.WhichOneof("outcome") != "classification" or len(labels) != 1 or not 0.0 < labels[0].probability <= 1.0:
        return None
    return Answer(labels[0].label, labels[0].probability)
