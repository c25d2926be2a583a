"""A variant is compared on awkward shapes, too: logits, and what the detector says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export.awkward_shapes import checkpoint_outputs
from export.decisions import Decisions
from export.hidden_tokens import HiddenTokens
from export.measurement import Runner
from export.rows import Row
from export.scope_proof import ScopeReference
from export.settings import Gate
from export.terms import terms_of
from export.verification import Reference, verify
from training.heads import Classifier

Batch = dict[str, NDArray[np.int64]]
ROWS = [Row([2, number % 5 + 5, 3], [0, 0, 0]) for number in range(20)]
IDS = np.array([[7], [8]])
SHAPES = {"length 1": {"input_ids": IDS, "attention_mask": np.ones_like(IDS), "token_type_ids": np.zeros_like(IDS)}}


def said(ids: NDArray[np.int64]) -> NDArray[np.float32]:
    """Logits of two labels and the score, [rows, 3], by the row's first word."""
    word = ids[:, 1 if ids.shape[1] > 1 else 0].astype(np.float32)
    return np.stack([word - 7, 7 - word, word / 10], axis=1)


class FakeModel(nn.Module):
    """Says what `said` does, with the score as an output of its own."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> tuple[Tensor, Tensor]:
        outputs = torch.from_numpy(said(input_ids.numpy()))
        return outputs[:, :2], outputs[:, 2:]


class FakeRunner:
    """Says the same of rows, and of awkward shapes so much more."""

    def __init__(self, more: tuple[float, float, float]) -> None:
        self._more = np.array(more, np.float32)

    def logits(self, rows: Sequence[Row], order: Sequence[int], batch: int) -> NDArray[np.float32]:
        return said(np.array([row.ids for row in rows]))

    def run(self, batch: Batch) -> NDArray[np.float32]:
        return said(batch["input_ids"]) + self._more


def reasons(more: tuple[float, float, float], precision: str = "fp32") -> list[str]:
    known = said(np.array([row.ids for row in ROWS]))
    comparison = Decisions("single_label_classification", ["a", "b"], None)
    right = known[:, :2].argmax(axis=1)
    reference = Reference.of(
        ROWS,
        comparison,
        right,
        terms_of("single_label_classification"),
        "accuracy",
        known[:, :2],
        checkpoint_outputs(cast("Classifier", FakeModel()), SHAPES),
        HiddenTokens({}),
        ScopeReference(0.99, known[:, 2], [], np.empty(0, np.float32)),
    )
    proven = verify(cast("Runner", FakeRunner(more)), reference, precision, Gate(), lambda _: None)
    assert proven.parity.passed is not bool(proven.parity.reasons)
    return proven.parity.reasons


def test_a_variant_that_says_the_same_of_awkward_shapes_passes() -> None:
    assert reasons((0.0, 0.0, 0.0)) == []


@pytest.mark.parametrize(
    ("more", "precision", "part"),
    [
        ((0.5, 0.0, 0.0), "fp32", "a logit differs by 0.5"),
        ((0.0, float("nan"), 0.0), "int8", "a logit is not finite"),
        ((0.0, 0.0, 0.01), "fp32", "a score of the detector differs by 0.01"),
        ((0.0, 0.0, float("nan")), "int8", "a score of the detector is not finite"),
    ],
)
def test_what_differs_on_awkward_shapes_alone_is_refused(
    more: tuple[float, float, float], precision: str, part: str
) -> None:
    (reason,) = reasons(more, precision)
    assert part in reason
