"""What a bundle answers to texts, in words, and where two bundles answer otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from export.bundle import Bundle
from export.contract import Contract
from export.failures import ExportFailure
from export.manifest import Manifest, Task, Variant
from export.measurement import Runner
from export.rows import tokenize
from training.dataset import Example
from training.tagging.decoding import entities_of
from training.tagging.words import with_words

BATCH = 8
OUTSIDE = "out of scope"
NOTHING = "nothing"
NEAR = 0.01
"""Numbers that differ by less, in standard deviations of the training rows' numbers, count as equal."""

Outputs = NDArray[np.float32]
Answer = str | float


class OtherAnswer(Contract):
    """A text that the two answer otherwise."""

    text: str
    before: Answer
    after: Answer


class OtherAnswers(Contract):
    """Of all texts that were asked."""

    texts: int
    variants: tuple[str, str]
    """Those that answered."""
    differing: list[OtherAnswer]

    @property
    def share(self) -> float:
        """Of the texts, in [0, 1]."""
        return len(self.differing) / self.texts


def other_answers(before: Bundle, after: Bundle, texts: Sequence[str]) -> OtherAnswers:
    """Asks both. Raises ExportFailure where they cannot be asked the same, or texts alone do not ask them anything."""
    if before.manifest.task != after.manifest.task:
        raise ExportFailure(f"{before.manifest.task} and {after.manifest.task} give answers that cannot be compared")
    scale = before.manifest.scale
    tolerated = NEAR * scale.deviation if scale is not None else 0.0
    pairs = zip(texts, answers(before, texts), answers(after, texts), strict=True)
    return OtherAnswers(
        texts=len(texts),
        variants=(asked_variant(before.manifest).name, asked_variant(after.manifest).name),
        differing=[
            OtherAnswer(text=text, before=one, after=other)
            for text, one, other in pairs
            if _differ(one, other, tolerated)
        ],
    )


def answers(bundle: Bundle, texts: Sequence[str]) -> list[Answer]:
    """One a text, by the variant that a server with CPUs would take first: a label, labels, entities, or a number."""
    manifest = bundle.manifest
    read = READERS.get(manifest.task)
    if read is None or manifest.pair:
        asked = "pairs of texts" if manifest.pair else manifest.task
        raise ExportFailure(
            f"{manifest.name} is a model of {asked}: single texts ask it nothing that could be compared"
        )
    variant = asked_variant(manifest)
    tokenizer = bundle.file(manifest.tokenizer)
    entities = () if manifest.task == "token_classification" else None
    examples = with_words([Example(text, "", entities=entities) for text in texts], tokenizer, manifest.max_length)
    rows = tokenize(examples, tokenizer, manifest.max_length)
    order = sorted(range(len(rows)), key=lambda row: len(rows[row].ids))
    outputs = Runner(bundle.file(variant.file), manifest.pad_token_id).logits(rows, order, BATCH)
    return read(outputs, examples, manifest, variant)


def asked_variant(manifest: Manifest) -> Variant:
    """The first that is meant for CPUs, else the first."""
    return next((each for each in manifest.variants if each.device in {"any", "cpu"}), manifest.variants[0])


def _label(outputs: Outputs, examples: Sequence[Example], manifest: Manifest, variant: Variant) -> list[Answer]:
    best = [manifest.labels[index] for index in outputs[:, : len(manifest.labels)].argmax(axis=1)]
    if variant.out_of_scope_threshold is None:
        return list(best)
    outside = outputs[:, -1] > variant.out_of_scope_threshold
    return [OUTSIDE if out else label for label, out in zip(best, outside, strict=True)]


def _labels(outputs: Outputs, examples: Sequence[Example], manifest: Manifest, variant: Variant) -> list[Answer]:
    thresholds = np.array(manifest.thresholds)
    cuts = manifest.temperature * np.log(thresholds / (1 - thresholds))
    return [_joined(manifest.labels[index] for index in np.flatnonzero(row >= cuts)) for row in outputs]


def _entities(outputs: Outputs, examples: Sequence[Example], manifest: Manifest, variant: Variant) -> list[Answer]:
    tags = [manifest.labels[index] for index in outputs.argmax(axis=1)]
    found: list[Answer] = []
    at = 0
    for example in examples:
        words = example.words or ()
        spans = entities_of(words, tags[at : at + len(words)])
        found.append(_joined(f"{example.text[entity.start : entity.end]} ({entity.label})" for entity, _, _ in spans))
        at += len(words)
    return found


def _number(outputs: Outputs, examples: Sequence[Example], manifest: Manifest, variant: Variant) -> list[Answer]:
    assert manifest.scale is not None
    return [float(value) * manifest.scale.deviation + manifest.scale.mean for value in outputs[:, 0]]


READERS: dict[Task, Callable[[Outputs, Sequence[Example], Manifest, Variant], list[Answer]]] = {
    "single_label_classification": _label,
    "multi_label_classification": _labels,
    "token_classification": _entities,
    "regression": _number,
}


def _joined(names: Iterable[str]) -> str:
    return ", ".join(names) or NOTHING


def _differ(one: Answer, other: Answer, tolerated: float) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) > tolerated
    return one != other
