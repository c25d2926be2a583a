"""Entities in a text: a BIO label for each word."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from training.calibration import Reliability, expected_calibration_error, fit_temperature, reliability, softmax
from training.dataset import Dataset, Entity, Example, Split
from training.intervals import Interval
from training.losses import FocalLoss, TokenLoss
from training.outputs import Logits
from training.plots import plot_calibration, plot_confusion, plot_label_scores
from training.settings import FineTuneSettings
from training.tagging.annotation import NO_ENTITY
from training.tagging.decoding import types_of
from training.tagging.scores import (
    Counts,
    StrictScores,
    confusion,
    counts,
    micro_f1,
    shared,
    strict_scores,
    uncertainty,
)
from training.tagging.word_labels import WordLabels
from training.tasks.files import write_metrics, write_predictions
from training.tasks.task import Measured

AXES = ("stated probability of a word's best label", "share of words where it was right")


class Entities:
    """Cross-entropy of each word, F1 of whole entities, one temperature for all words."""

    def truth(self, examples: Sequence[Example], labels: Sequence[str]) -> WordLabels:
        """The labels of the words of each text. The examples know their words."""
        return WordLabels(examples, labels)

    def loss(self, settings: FineTuneSettings, dataset: Dataset) -> nn.Module:
        """Cross-entropy, or focal loss, over the first tokens of words."""
        if settings.loss == "focal":
            return TokenLoss(FocalLoss(settings.focal_gamma))
        return TokenLoss(nn.CrossEntropyLoss(label_smoothing=settings.label_smoothing))

    def score(self, logits: Logits, truth: WordLabels) -> float:
        """F1 over all entities."""
        return micro_f1(truth.entities, truth.decoded(logits.argmax(axis=1)))

    def measured(self, logits: Mapping[Split, Logits], dataset: Dataset) -> Measured:
        """F1, precision and recall of entities and the words' calibration error, of both splits."""
        truths = {
            Split.VALIDATION: self.truth(dataset.validation, dataset.labels),
            Split.TEST: self.truth(dataset.test, dataset.labels),
        }
        temperature = fit_temperature(logits[Split.VALIDATION], truths[Split.VALIDATION].flat)
        answers = {split: _Answers.of(logits[split], truths[split], temperature) for split in truths}
        return MeasuredEntities(
            temperature=temperature,
            metrics={split.value: _scores(answers[split]) for split in answers},
            examples=dataset.test,
            answers=answers[Split.TEST],
        )


@dataclass(frozen=True, kw_only=True)
class MeasuredEntities(Measured):
    """The test split's, with a temperature for all words."""

    examples: list[Example]
    answers: _Answers

    def _write(self, folder: Path) -> dict[str, Interval]:
        intervals, more = _test_report(self.answers, folder)
        write_metrics(folder, self.temperature, self.metrics, {"intervals": intervals, **more})
        write_predictions(folder, _lines(self.examples, self.answers))
        return intervals


@dataclass(frozen=True, slots=True)
class _Answers:
    """What a model says of a split beside what is right, computed once for scores, plots and predictions."""

    truth: WordLabels
    types: list[str]
    probabilities: NDArray[np.float64]
    """Of each word's labels, calibrated."""
    located: list[list[tuple[Entity, int, int]]]
    said: list[list[Entity]]
    strict: StrictScores
    counted: Counts
    before: Reliability
    after: Reliability
    """Reliability of the words' probabilities, before and after the temperature."""

    @classmethod
    def of(cls, logits: Logits, truth: WordLabels, temperature: float) -> _Answers:
        types = types_of(truth.labels)
        located = truth.located(logits.argmax(axis=1))
        said = [[entity for entity, _, _ in row] for row in located]
        probabilities = softmax(logits / np.float32(temperature))
        return cls(
            truth=truth,
            types=types,
            probabilities=probabilities,
            located=located,
            said=said,
            strict=strict_scores(truth.entities, said, types),
            counted=counts(truth.entities, said, types),
            before=reliability(softmax(logits), truth.flat),
            after=reliability(probabilities, truth.flat),
        )


def _scores(answers: _Answers) -> dict[str, float]:
    """Those of a split. `reachable_recall` is what the best labels could reach: an entity that begins or ends within a word, or
    behind the longest input, is found by none.
    """
    truth = answers.truth
    present = [f1 for _, _, f1, entities in answers.strict.by_type if entities]
    within = counts(truth.entities, truth.decoded(truth.flat), answers.types)
    precision, recall, f1 = answers.strict.micro
    return {
        "micro_f1": f1,
        "precision": precision,
        "recall": recall,
        "macro_f1": sum(present) / max(1, len(present)),
        "reachable_recall": float(within.right.sum() / max(1, within.given.sum())),
        "calibration_error_before": expected_calibration_error(answers.before),
        "calibration_error": expected_calibration_error(answers.after),
    }


def _test_report(answers: _Answers, folder: Path) -> tuple[dict[str, tuple[float, float]], dict[str, Any]]:
    """Intervals; and each type's scores, and types by what they were taken for. Draws the plots."""
    types, strict = answers.types, answers.strict.by_type
    intervals, of_types = uncertainty(answers.counted, types)
    per_type = [
        {"type": kind, "precision": p, "recall": r, "f1": f1, "f1_interval": interval, "entities": entities}
        for kind, (p, r, f1, entities), interval in zip(types, strict, of_types, strict=True)
    ]
    matrix = confusion(answers.truth.entities, answers.said, types)
    plot_confusion(matrix, [*types, NO_ENTITY], folder / "confusion.png")
    rows = dict(zip(types, (answers.counted.given > 0).sum(axis=0).tolist(), strict=True))
    plot_label_scores(
        {kind: f1 for kind, (_, _, f1, _) in zip(types, strict, strict=True)}, rows, folder / "labels.png"
    )
    errors = (expected_calibration_error(answers.before), expected_calibration_error(answers.after))
    plot_calibration(answers.before, answers.after, errors, AXES, folder / "calibration.png")
    return intervals, {"per_type": per_type, "types": [*types, NO_ENTITY], "confusion": matrix.tolist()}


def _lines(examples: Sequence[Example], answers: _Answers) -> Iterator[dict[str, object]]:
    """A line for each text, those with the most confident mistakes first."""
    truth, best = answers.truth, answers.probabilities.max(axis=1)
    lines: list[tuple[float, dict[str, object]]] = []
    for row, (example, said) in enumerate(zip(examples, answers.located, strict=True)):
        words = best[truth.bounds[row] : truth.bounds[row + 1]]
        sure = {entity: float(best[begin:end].mean()) for entity, begin, end in said}
        mistakes = _mistakes(example, sure, words, truth.words[row])
        line: dict[str, object] = {
            "text": example.text,
            "entities": [_shown(entity, example.text) for entity in example.entities or ()],
            "predicted": [{**_shown(entity, example.text), "probability": round(p, 6)} for entity, p in sure.items()],
            "mistakes": mistakes,
        }
        lines.append((max((float(each["probability"]) for each in mistakes), default=-1.0), line))
    for _, line in sorted(lines, key=lambda each: -each[0]):
        yield line


def _mistakes(
    example: Example, sure: Mapping[Entity, float], words: NDArray[np.float64], places: Sequence[Any]
) -> list[dict[str, Any]]:
    """What was said and is not so, and what is so and nothing was said of, with the model's probability, surest first."""
    given = example.entities or ()
    wrong: list[dict[str, Any]] = []
    for entity, probability in sure.items():
        if entity not in given:
            instead = max(given, key=lambda each: shared(entity, each), default=None)
            right = None if instead is None or not shared(entity, instead) else _shown(instead, example.text)
            wrong.append(
                {"predicted": _shown(entity, example.text), "right": right, "probability": round(probability, 6)}
            )
    for entity in given:
        if not any(shared(entity, each) for each in sure):
            inside = [
                p for p, word in zip(words, places, strict=True) if word.start < entity.end and entity.start < word.end
            ]
            probability = float(np.mean(inside)) if inside else 0.0
            wrong.append(
                {"predicted": None, "right": _shown(entity, example.text), "probability": round(probability, 6)}
            )
    return sorted(wrong, key=lambda each: -float(each["probability"]))


def _shown(entity: Entity, text: str) -> dict[str, object]:
    return {"start": entity.start, "end": entity.end, "label": entity.label, "text": text[entity.start : entity.end]}
