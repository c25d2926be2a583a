"""Requests made and replies judged: the only place where the benchmark knows the inference contract."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bertline.inference.v1 import inference_pb2 as pb

from benchmarks.generator import Call
from benchmarks.texts import Text

PATH = f"/{pb.DESCRIPTOR.services_by_name['InferenceService'].full_name}/Classify"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a reply says of one text."""

    label: str
    probability: float


def request(model: str, *texts: Text) -> bytes:
    """A serialized call."""
    pairs = ((text, None) if isinstance(text, str) else text for text in texts)
    inputs = [pb.TextInput(text=first, text_pair=second) for first, second in pairs]
    return pb.ClassifyRequest(model=pb.ModelSelector(name=model), inputs=inputs).SerializeToString()


def served(call: Call) -> tuple[int, str]:
    """Version and variant of the model that answered."""
    model = pb.ClassifyResponse.FromString(call.message).model
    return model.version, model.variant


def answers(call: Call, texts: int) -> list[Answer] | None:
    """The answers in a reply; None when it is not exactly one label with a probability for each of `texts` texts."""
    results = pb.ClassifyResponse.FromString(call.message).results
    found = [answer for result in results if (answer := _answer(result)) is not None]
    return found if len(results) == len(found) == texts else None


def wrong(calls: Sequence[Call], labels: Sequence[str], texts: int) -> int:
    """How many successful calls lack a proper answer with one of the model's labels to any of their `texts` texts."""
    known = set(labels)
    replies = (answers(call, texts) for call in calls if call.status == 0)
    return sum(reply is None or any(each.label not in known for each in reply) for reply in replies)


def _answer(result: pb.ClassifyResult) -> Answer | None:
    labels = result.classification.labels
    if result.WhichOneof("outcome") != "classification" or len(labels) != 1 or not 0.0 < labels[0].probability <= 1.0:
        return None
    return Answer(labels[0].label, labels[0].probability)
