"""The step after training looks at no row that no detector needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from tests.fakes.tiny_encoder import toy_rows, write_tiny_encoder
from training.dataset import Example, Split
from training.encoding import EncodedDataset, encode
from training.heads import HeadSettings, SequenceClassifier, load_encoder
from training.model_making import load_tokenizer
from training.scope.judging import Rows, judge_scope
from training.scope.model import seen
from training.scope.settings import ScopeSettings

LABELS = ["sports", "economy", "technology"]
INSIDE, OUTSIDE = (30, 12, 15), (9, 8, 7)


class Counting(SequenceClassifier):
    """Counts the rows that pass through the encoder."""

    rows = 0

    def vectors(self, input_ids: Tensor, *rest: Any, **more: Any) -> Tensor:
        self.rows += len(input_ids)
        return super().vectors(input_ids, *rest, **more)


def encoded(encoder: Path, sizes: tuple[int, ...], seed: int) -> Rows:
    tokenizer, rows, parts = load_tokenizer(str(encoder)), toy_rows(sum(sizes), seed), []
    for size in sizes:
        part, rows = rows[:size], rows[size:]
        truth = [LABELS.index(label) for _, label in part]
        parts.append(encode([Example(*row) for row in part], tokenizer, truth, 32))
    return Rows(*parts)


@pytest.mark.parametrize(
    ("detector", "looked_at"),
    [
        ("max_softmax", OUTSIDE[2]),
        ("energy", OUTSIDE[2]),
        ("mahalanobis", INSIDE[0] + OUTSIDE[2]),
        ("combined", INSIDE[0] + OUTSIDE[2]),
        ("combined_with_outliers", INSIDE[0] + OUTSIDE[0] + OUTSIDE[2]),
        ("auto", INSIDE[0] + sum(OUTSIDE)),
    ],
)
def test_only_what_a_possible_detector_needs_is_looked_at(detector: str, looked_at: int, tmp_path: Path) -> None:
    encoder = write_tiny_encoder(tmp_path)
    model = Counting(load_encoder(str(encoder)), HeadSettings(labels=LABELS, pooling="cls")).eval()
    inside, outside = encoded(encoder, INSIDE, 0), encoded(encoder, OUTSIDE, 1)
    held_out = {Split.VALIDATION: seen(model, inside.validation, 0), Split.TEST: seen(model, inside.test, 0)}
    model.rows = 0
    settings = ScopeSettings(path="any", detector=detector)
    fitted, record = judge_scope(model, inside, held_out, outside, settings, 0)
    assert model.rows == looked_at
    assert detector in {record.detector, "auto"}
    assert fitted.name == record.detector
    assert set(record.intervals) == set(record.evidence)


def test_without_texts_out_of_scope_only_training_rows_are(tmp_path: Path) -> None:
    encoder = write_tiny_encoder(tmp_path)
    model = Counting(load_encoder(str(encoder)), HeadSettings(labels=LABELS, pooling="cls")).eval()
    inside = encoded(encoder, INSIDE, 0)
    held_out = {Split.VALIDATION: seen(model, inside.validation, 0), Split.TEST: seen(model, inside.test, 0)}
    nothing = Rows(EncodedDataset([]), inside.validation, inside.test)
    model.rows = 0
    judge_scope(model, nothing, held_out, None, ScopeSettings(detector="energy"), 0)
    assert model.rows == 0
    judge_scope(model, inside, held_out, None, ScopeSettings(), 0)
    assert model.rows == INSIDE[0]
