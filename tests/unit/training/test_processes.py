"""What several processes cannot do together is told at once, by the first of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from training.__main__ import app
from training.failures import InvalidSettings
from training.processes import require_shareable
from training.settings_reading import load_settings
from training.terminal import console

FIT = ["fit", "--data", "nowhere.csv", "--name", "toy", "--batch-size", "15"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"batch_size": 30}, "batch_size 30 cannot be shared by 4 processes"),
        ({"task": "embedding"}, "the task embedding: texts are told from the whole batch"),
        ({"contrastive_epochs": 1}, "contrastive_epochs: texts are told from the whole batch"),
        ({"task": "pair_scoring", "loss": "ranknet"}, "loss ranknet compares rows of the whole batch"),
        ({"task": "pair_scoring", "loss": "listwise_softmax"}, "loss listwise_softmax compares rows of the whole"),
    ],
)
def test_what_cannot_be_shared_out_is_refused(given: dict[str, Any], message: str) -> None:
    settings = load_settings(None, {"name": "x", **given}, {"path": "x.csv"})
    require_shareable(settings, 1)
    with pytest.raises(InvalidSettings, match=message):
        require_shareable(settings, 4)


def test_a_batch_that_is_a_multiple_is_shared() -> None:
    require_shareable(load_settings(None, {"name": "x", "batch_size": 32}, {"path": "x.csv"}), 4)


def invoke(monkeypatch: pytest.MonkeyPatch, rank: int, *command: str) -> str:
    """What the process says that torchrun made number `rank` of two, before the other is there."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", str(rank))
    monkeypatch.setattr(console, "quiet", False)
    done = CliRunner().invoke(app, list(command))
    assert done.exit_code == 2
    return done.output


def test_fit_refuses_before_the_others_have_come_and_data_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "batch_size 15 cannot be shared by 2 processes" in invoke(monkeypatch, 0, *FIT)
    assert invoke(monkeypatch, 1, *FIT) == ""


def test_pretrain_refuses_company(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    command = ["pretrain", "--data", "nowhere.txt", "--name", "toy", "--out", str(tmp_path)]
    assert "start it without torchrun" in invoke(monkeypatch, 0, *command)
