"""Rows are computed in company, and what changes there is counted by the worst arrangement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

from export.arrangements import MOST_ROWS, decisions, in_company, of_rows, sampled
from export.decisions import Decisions
from export.hidden_tokens import HiddenTokens
from export.measurement import Runner
from export.rows import Row, feed
from export.settings import Gate
from export.terms import terms_of
from export.verification import Reference, verify
from training.dataset import Example

ROWS = [Row([number % 7] * (1 + number % 5), [0] * (1 + number % 5)) for number in range(40)]


def logits_of(words: NDArray[np.int64]) -> NDArray[np.float32]:
    value = words.astype(np.float32) - 2.9
    return np.stack([value, -value], axis=1)


class SharedScale:
    """As dynamic int8: what a batch holds in all moves every answer; `loud` is how much, by the size of the batch."""

    def __init__(self, loud: dict[int, float]) -> None:
        self._loud = loud
        self.batches: list[list[int]] = []

    def logits(self, rows: Sequence[Row], order: Sequence[int], batch: int) -> NDArray[np.float32]:
        self.batches.append([len(rows[position].ids) for position in order])
        moved = logits_of(np.array([row.ids[0] for row in rows]))
        return moved + np.array([1, -1], np.float32) * self._loud.get(batch, 0.0)

    def run(self, batch: dict[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        return logits_of(batch["input_ids"][:, 0])


def proof_of(runner: SharedScale):  # type: ignore[no-untyped-def]
    compared = Decisions("single_label_classification", ["a", "b"], None)
    logits = logits_of(np.array([row.ids[0] for row in ROWS]))
    right = compared.right([Example("", "ab"[int(best)]) for best in logits.argmax(axis=1)])
    reference = Reference.of(ROWS, compared, right, terms_of(""), "accuracy", logits, {}, HiddenTokens({}))
    ticks: list[int] = []
    proven = verify(cast("Runner", runner), reference, "int8", Gate(), ticks.append)
    assert ticks == [1, 2, 3, 4, 5]
    return proven.parity


def test_each_size_is_tried_sorted_by_length_and_shuffled() -> None:
    runner = SharedScale({})
    tried = [(each.batch, each.order) for each in in_company(cast("Runner", runner), ROWS)]
    assert tried == [(4, "by length"), (4, "shuffled"), (16, "by length"), (16, "shuffled")]
    lengths = sorted(len(row.ids) for row in ROWS)
    assert runner.batches[0] == runner.batches[2] == lengths
    assert runner.batches[1] == runner.batches[3] != lengths


def test_a_text_that_is_answered_alike_in_any_company_passes() -> None:
    proof = proof_of(SharedScale({}))
    assert proof.passed
    assert proof.flips_with_batch_mates == 0.0
    assert {(each.rows, each.flips, each.max_logit_drift) for each in proof.arrangements} == {(40, 0.0, 0.0)}


def test_flips_in_one_size_of_batch_alone_are_refused_and_the_arrangement_is_named() -> None:
    proof = proof_of(SharedScale({4: 0.01, 16: -0.2}))
    # words 3 are the only ones so near to the border: 0.1 - 0.2 < 0
    share = np.mean([row.ids[0] == 3 for row in ROWS])
    assert [each.flips for each in proof.arrangements] == pytest.approx([0.0, 0.0, share, share])
    assert [each.max_logit_drift for each in proof.arrangements] == pytest.approx([0.01, 0.01, 0.2, 0.2], abs=1e-6)
    assert proof.flips_with_batch_mates == pytest.approx(share)
    (reason,) = proof.reasons
    assert "of the labels flip with batch mates (batches of 16" in reason
    assert reason.endswith("more than 0.20 %")


def test_what_is_no_number_in_company_is_refused_though_it_is_one_alone() -> None:
    (reason, *_) = proof_of(SharedScale({16: np.nan})).reasons
    assert reason == "an output is not finite in batches of 16, by length, and is alone"


def test_many_rows_are_sampled_and_always_the_same() -> None:
    assert sampled(30).tolist() == list(range(30))
    many = sampled(50_000)
    assert len(many) == len(set(many.tolist())) == MOST_ROWS
    assert (np.diff(many) > 0).all()
    assert (many == sampled(50_000)).all()


def test_words_of_sampled_rows_are_found() -> None:
    rows = [Row([1, 2, 3], [0, 0, 0], reads) for reads in ([1], [0, 2], [], [2])]
    counts = decisions(rows)
    assert counts.tolist() == [1, 2, 0, 1]
    outputs = np.arange(4, dtype=np.float32)[:, None]
    assert of_rows(outputs, counts, np.array([1, 3])).ravel().tolist() == [1.0, 2.0, 3.0]


def test_tokens_that_the_mask_hides_are_replaced_where_the_checkpoint_reads_none() -> None:
    names = {"input_ids", "attention_mask", "token_type_ids"}
    batches = {
        "padded": feed([Row([5, 6, 7], [0] * 3), Row([8], [0])], names, 0),
        "full": feed([Row([5], [0])], names, 0),
    }

    def honest(batch: dict[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        return (batch["input_ids"] * batch["attention_mask"]).sum(axis=1, keepdims=True).astype(np.float32)

    def reads_all(batch: dict[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        return batch["input_ids"].sum(axis=1, keepdims=True).astype(np.float32)

    hidden = HiddenTokens.of(batches, 100, honest)
    assert list(hidden.pairs) == ["padded"]
    one, other = hidden.pairs["padded"]
    assert other["input_ids"][0].tolist() == [5, 6, 7]
    assert other["input_ids"][1, 0] == 8
    assert (other["input_ids"][1, 1:] != one["input_ids"][1, 1:]).any()
    assert hidden.leak(honest) == 0.0
    assert hidden.leak(reads_all) > 0
    # of a checkpoint that reads them itself nothing can be said
    assert HiddenTokens.of(batches, 100, reads_all).pairs == {}
