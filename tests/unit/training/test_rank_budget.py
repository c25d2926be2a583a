"""AdaLoRA's ranks: taken where they matter little, and the same when the training was cut off in between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import TrainerControl, TrainerState

from tests.fakes.tiny_encoder import write_tiny_encoder
from training.data_settings import DataSettings
from training.failures import InvalidSettings
from training.heads import HeadSettings, SequenceClassifier, load_encoder
from training.methods import apply_method, merge
from training.rank_budget import RankBudget, initial_rank, schedule
from training.settings import FineTuneSettings

UPDATES = 40
SETTINGS = FineTuneSettings(
    data=DataSettings(path="x"), name="x", method="adalora", adalora_target_rank=2, dropout=0.0, seed=1
)
ARGUMENTS: Any = None
CONTROL = TrainerControl()


class Training:
    """A training loop in small, with the calls that transformers' Trainer makes."""

    def __init__(self, encoder: Path) -> None:
        torch.manual_seed(0)
        self.model = SequenceClassifier(
            load_encoder(str(encoder)), HeadSettings(labels=["a", "b"], pooling="mean", dropout=0.0)
        ).eval()
        budget = apply_method(self.model, SETTINGS)
        assert isinstance(budget, RankBudget)
        self.budget = budget
        self.optimizer = torch.optim.AdamW([p for p in self.model.parameters() if p.requires_grad], lr=1e-2)
        self.state = TrainerState(global_step=0, max_steps=UPDATES)

    def run(self, until: int) -> None:
        self.budget.on_train_begin(ARGUMENTS, self.state, CONTROL)
        while self.state.global_step < until:
            generator = torch.Generator().manual_seed(self.state.global_step)
            ids = torch.randint(5, 40, (8, 6), generator=generator)
            logits = self.model(ids, torch.ones_like(ids))
            loss = torch.nn.functional.cross_entropy(logits, ids[:, 0] % 2) + self.budget.penalty()
            loss.backward()
            self.optimizer.step()
            self.budget.on_optimizer_step(ARGUMENTS, self.state, CONTROL, optimizer=self.optimizer)
            self.optimizer.zero_grad()
            self.state.global_step += 1


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def whole(encoder: Path) -> Training:
    training = Training(encoder)
    training.run(UPDATES)
    return training


def test_the_ranks_end_at_the_target_and_are_shared_unequally(whole: Training) -> None:
    ranks = whole.budget.ranks()
    # query, key, value, and output of attention, and two of the feed-forward, in two layers
    assert len(ranks) == 12
    assert sum(ranks.values()) == 12 * 2
    assert len(set(ranks.values())) > 1
    for name, parameter in whole.model.encoder.base_model.model.named_parameters():
        if name in ranks:
            assert int(parameter.count_nonzero()) == ranks[name]


def test_nothing_is_taken_in_the_first_tenth(encoder: Path) -> None:
    training = Training(encoder)
    training.run(UPDATES // 10)
    assert set(training.budget.ranks().values()) == {3}
    training.run(UPDATES // 10 + 8)
    assert 12 * 2 < sum(training.budget.ranks().values()) < 12 * 3


@pytest.mark.parametrize("cut", [3, 12, 20, 30])
def test_a_training_that_was_cut_off_ends_with_the_same_weights(whole: Training, encoder: Path, cut: int) -> None:
    first = Training(encoder)
    first.run(cut)
    second = Training(encoder)
    second.model.load_state_dict(first.model.state_dict())
    second.optimizer.load_state_dict(first.optimizer.state_dict())
    second.state.global_step = cut
    second.run(UPDATES)
    expected, actual = whole.model.state_dict(), second.model.state_dict()
    assert set(expected) == set(actual)
    assert all(torch.equal(expected[name], actual[name]) for name in expected)


def test_a_training_that_forgot_importance_would_end_elsewhere(whole: Training, encoder: Path) -> None:
    first = Training(encoder)
    first.run(12)
    second = Training(encoder)
    weights = {name: value for name, value in first.model.state_dict().items() if ".importance." not in name}
    second.model.load_state_dict(weights, strict=False)
    second.optimizer.load_state_dict(first.optimizer.state_dict())
    second.state.global_step = 12
    second.run(UPDATES)
    assert second.budget.ranks() != whole.budget.ranks()


def test_an_update_that_overflowed_says_nothing_of_importance(encoder: Path) -> None:
    class Skipped(torch.optim.SGD):
        step_was_skipped = True

    training = Training(encoder)
    training.run(2)
    ids = torch.randint(5, 40, (8, 6))
    (training.model(ids, torch.ones_like(ids)).sum() * torch.inf).backward()
    skipped = Skipped(training.model.classifier.parameters())
    training.budget.on_optimizer_step(ARGUMENTS, training.state, CONTROL, optimizer=skipped)
    assert torch.isfinite(training.model.encoder.importance.sensitivity).all()


def test_the_singular_vectors_are_drawn_towards_orthogonal(encoder: Path) -> None:
    training = Training(encoder)
    before = training.budget.penalty().item()
    training.run(UPDATES)
    assert training.budget.penalty().item() < 0.7 * before


def test_the_updates_are_merged_without_a_trace(encoder: Path) -> None:
    training = Training(encoder)
    training.run(UPDATES)
    names = set(SequenceClassifier(load_encoder(str(encoder)), training.model.settings).state_dict())
    ids = torch.randint(5, 40, (8, 6))
    with torch.inference_mode():
        expected = training.model(ids, torch.ones_like(ids))
        merge(training.model, SETTINGS)
        assert torch.allclose(training.model(ids, torch.ones_like(ids)), expected, atol=1e-5)
    assert set(training.model.state_dict()) == names


def test_the_schedule_fits_into_the_training() -> None:
    assert schedule(1000) == {"tinit": 100, "tfinal": 500, "deltaT": 10, "total_step": 1000}
    assert [initial_rank(target) for target in (1, 2, 8)] == [2, 3, 12]
    with pytest.raises(InvalidSettings, match="9 updates in all are too few"):
        schedule(9)
