"""Entities are right or wrong as a whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.dataset import Entity
from training.tagging.scores import confusion, counts, micro_f1, strict_scores, uncertainty

TYPES = ["A", "B"]
GIVEN = [[Entity(0, 2, "A"), Entity(3, 5, "B")], [Entity(0, 4, "A")], []]
SAID = [[Entity(0, 2, "A"), Entity(3, 5, "A")], [Entity(0, 3, "A")], [Entity(1, 2, "B")]]


def test_an_entity_is_right_only_with_its_edges_and_its_type() -> None:
    scores = strict_scores(GIVEN, SAID, TYPES)
    assert scores.micro == pytest.approx((1 / 4, 1 / 3, 2 / 7))
    assert scores.by_type[0] == pytest.approx((1 / 3, 1 / 2, 2 / 5, 2))
    assert scores.by_type[1] == pytest.approx((0, 0, 0, 1))


def test_confusion_pairs_entities_that_share_characters() -> None:
    assert confusion(GIVEN, SAID, TYPES).tolist() == [[2, 0, 0], [1, 0, 0], [0, 1, 0]]
    assert confusion([[Entity(0, 1, "B")]], [[]], TYPES).tolist() == [[0, 0, 0], [0, 0, 1], [0, 0, 0]]


def test_without_entities_there_is_no_score_to_divide_by() -> None:
    assert micro_f1([[]], [[]]) == 0.0
    scores = strict_scores([[]], [[]], TYPES)
    assert scores.micro == (0.0, 0.0, 0.0)
    assert scores.by_type == [(0.0, 0.0, 0.0, 0)] * 2


@st.composite
def found(draw: st.DrawFn) -> list[Entity]:
    cuts = sorted(draw(st.sets(st.integers(0, 8), max_size=6)))
    pairs = zip(cuts[::2], cuts[1::2], strict=False)
    return [Entity(start, end, draw(st.sampled_from(TYPES))) for start, end in pairs]


@settings(max_examples=60)
@given(st.lists(st.tuples(found(), found()), min_size=1, max_size=6))
def test_seqeval_and_the_counts_agree(texts: list[tuple[list[Entity], list[Entity]]]) -> None:
    given_, said = [list(part) for part in zip(*texts, strict=True)]
    scores = strict_scores(given_, said, TYPES)
    assert scores.micro[2] == pytest.approx(micro_f1(given_, said))
    held = counts(given_, said, TYPES)
    right, wanted, told = (part.sum(axis=0) for part in (held.right, held.given, held.said))
    for kind, (precision, recall, _, entities) in enumerate(scores.by_type):
        assert precision == pytest.approx(right[kind] / max(1, told[kind]))
        assert recall == pytest.approx(right[kind] / max(1, wanted[kind]))
        assert entities == wanted[kind]


def test_intervals_hold_the_scores_and_are_points_where_all_is_right() -> None:
    many, said = GIVEN * 20, SAID * 20
    intervals, of_types = uncertainty(counts(many, said, TYPES), TYPES)
    assert set(intervals) == {"micro_f1", "precision", "recall", "macro_f1"}
    low, high = intervals["micro_f1"]
    assert low < 2 / 7 < high
    assert len(of_types) == 2
    intervals, of_types = uncertainty(counts(many, many, TYPES), TYPES)
    assert intervals["micro_f1"] == (1.0, 1.0)
    assert np.array(of_types).tolist() == [[1.0, 1.0]] * 2
