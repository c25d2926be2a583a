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
    """What a reply says of its one text."""

    label: str
    probability: float


def request(model: str, text: Text) -> bytes:
    """A serialized call for one text."""
    first, second = (text, None) if isinstance(text, str) else text
    inputs = [pb.TextInput(text=first, text_pair=second)]
    return pb.ClassifyRequest(model=pb.ModelSelector(name=model), inputs=inputs).SerializeToString()


def served(call: Call) -> tuple[int, str]:
    """Version and variant of the model that answered."""
    model = pb.ClassifyResponse.FromString(call.message).model
    return model.version, model.variant


def answer(call: Call) -> Answer | None:
    """The answer in a reply; None when it is not exactly one label with a probability for exactly one text."""
    results = pb.ClassifyResponse.FromString(call.message).results
    if len(results) != 1 or results[0].WhichOneof("outcome") != "classification":
        return None
    labels = results[0].classification.labels
    if len(labels) != 1 or not 0.0 < labels[0].probability <= 1.0:
        return None
    return Answer(labels[0].label, labels[0].probability)


def wrong(calls: Sequence[Call], labels: Sequence[str]) -> int:
    """How many successful calls carry no proper answer with one of the model's labels."""
    known = set(labels)
    answers = (answer(call) for call in calls if call.status == 0)
    return sum(each is None or each.label not in known for each in answers)
