"""What is done for unequal classes: losses and sampling."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from training.dataset import Dataset, Example
from training.encoding import LengthGroupedOrder
from training.losses import BinaryFocalLoss, FocalLoss
from training.sampling import EpochRows, quotas
from training.schedule import class_weights
from training.settings import Sampling
from training.settings_reading import load_settings
from training.tasks import task_of

CLASSES = ["a"] * 100 + ["b"] * 10 + ["c"] * 4
LOGITS = torch.tensor([[3.0, 0.0, -1.0], [0.2, 0.1, 0.0], [-2.0, 1.0, 0.5]])
LABELS = torch.tensor([0, 1, 0])


@pytest.mark.parametrize("weights", [None, torch.tensor([1.0, 4.0, 2.0])])
def test_focal_loss_without_a_focus_is_cross_entropy(weights: torch.Tensor | None) -> None:
    assert FocalLoss(0.0, weights)(LOGITS, LABELS) == pytest.approx(nn.CrossEntropyLoss(weights)(LOGITS, LABELS).item())
    targets = nn.functional.one_hot(LABELS, 3).float()
    plain = nn.BCEWithLogitsLoss(pos_weight=weights)(LOGITS, targets).item()
    assert BinaryFocalLoss(0.0, weights)(LOGITS, targets).item() == pytest.approx(plain)


def test_focal_loss_turns_to_the_rows_that_are_wrong() -> None:
    right, wrong = (torch.tensor([[value, 0.0]], requires_grad=True) for value in (4.0, -4.0))
    zero = torch.tensor([0])
    for logits in (right, wrong):
        FocalLoss(2.0)(logits, zero).backward()  # type: ignore[no-untyped-call]
    plain = nn.CrossEntropyLoss()(torch.tensor([[4.0, 0.0]]), zero).item()
    assert FocalLoss(2.0)(right, zero).item() < 0.01 * plain
    assert wrong.grad is not None
    assert right.grad is not None
    assert wrong.grad.abs().max() > 1000 * right.grad.abs().max()


@pytest.mark.parametrize(
    ("sampling", "sizes"),
    [
        ("none", {"a": 100, "b": 10, "c": 4}),
        ("over", {"a": 100, "b": 100, "c": 100}),
        ("square_root", {"a": 100, "b": 32, "c": 20}),
        ("under", {"a": 4, "b": 4, "c": 4}),
    ],
)
def test_an_epoch_holds_as_many_rows_of_each_class_as_asked_for(sampling: Sampling, sizes: dict[str, int]) -> None:
    assert quotas(Counter(CLASSES), sampling) == sizes
    drawn = EpochRows(CLASSES, sampling, 13)
    rows = drawn.rows(0)
    assert len(rows) == len(drawn)
    assert Counter(CLASSES[row] for row in rows) == sizes


@pytest.mark.parametrize("sampling", ["none", "over", "under"])
def test_rows_without_a_label_are_each_seen_once_whatever_the_sampling(sampling: Sampling) -> None:
    drawn = EpochRows(CLASSES, sampling, 13, unlabelled=5)
    labelled = EpochRows(CLASSES, sampling, 13).rows(2)
    assert drawn.rows(2) == [*labelled, *range(len(CLASSES), len(CLASSES) + 5)]
    assert len(drawn) == len(labelled) + 5


def test_another_epoch_draws_other_rows_and_the_same_one_the_same() -> None:
    drawn = EpochRows(CLASSES, "under", 13)
    assert drawn.rows(1) == EpochRows(CLASSES, "under", 13).rows(1) != drawn.rows(2)
    seen = {row for epoch in range(200) for row in drawn.rows(epoch)}
    assert seen == set(range(len(CLASSES)))


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=60), st.sampled_from(["none", "over", "square_root"]))
def test_no_row_is_left_out_or_seen_twice_as_often_as_its_class_mates(classes: list[str], sampling: Sampling) -> None:
    times = Counter(EpochRows(classes, sampling, 0).rows(3))
    assert set(times) == set(range(len(classes)))
    for name in set(classes):
        counts = [times[row] for row, each in enumerate(classes) if each == name]
        assert max(counts) - min(counts) <= 1


def test_batches_are_made_of_the_rows_drawn() -> None:
    lengths = [3 + row % 7 for row in range(len(CLASSES))]
    order = LengthGroupedOrder(lengths, 8, 13, EpochRows(CLASSES, "over", 13))
    assert len(order) == len(list(order)) == 300
    assert Counter(CLASSES[row] for row in order) == {"a": 100, "b": 100, "c": 100}


def test_without_sampling_the_order_is_what_it_was() -> None:
    lengths = [3 + row % 7 for row in range(len(CLASSES))]
    drawn = EpochRows(CLASSES[::-1], "none", 13)
    assert list(LengthGroupedOrder(lengths, 8, 13, drawn)) == list(LengthGroupedOrder(lengths, 8, 13))


def test_weights_are_not_put_on_top_of_sampling_unless_asked_for() -> None:
    examples = [Example(str(row), name) for row, name in enumerate(CLASSES)]
    assert class_weights("auto", examples, ["a", "b", "c"]) is not None
    assert class_weights("auto", examples, ["a", "b", "c"], "over") is None
    assert class_weights("balanced", examples, ["a", "b", "c"], "over") is not None


def test_the_loss_asked_for_is_the_one_trained_with() -> None:
    dataset = Dataset([Example(str(row), name) for row, name in enumerate(CLASSES)], [], [], ["a", "b", "c"], "")
    settings = load_settings(None, {"name": "x", "loss": "focal", "focal_gamma": 1.5}, {"path": "x.csv"})
    loss = task_of("single_label_classification").loss(settings, dataset)
    assert isinstance(loss, FocalLoss)
    assert loss.gamma == 1.5
    assert loss.weights is not None  # the classes are 25 to 1
