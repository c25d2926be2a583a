"""The command says what is missing or wrong in a message, before it reads any data."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from training.__main__ import app

SEARCH = ["search", "--data", "nowhere.csv", "--name", "toy"]


def test_without_optuna_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.packages.find_spec", lambda name: None)
    done = CliRunner().invoke(app, SEARCH)
    assert done.exit_code == 2
    assert "-e '.[search]'" in done.output


def test_a_bad_space_is_told_before_the_data_are_read(tmp_path: Path) -> None:
    space = tmp_path / "space.yaml"
    space.write_text("dropout: {low: 0.5, high: 1.5}", encoding="utf-8")
    done = CliRunner().invoke(app, [*SEARCH, "--space", str(space), "--out", str(tmp_path / "searches")])
    assert done.exit_code == 2
    assert "dropout: Input should be less than 1" in done.output
    assert not (tmp_path / "searches").exists()


def test_a_wrong_database_is_told_before_the_data_are_read() -> None:
    done = CliRunner().invoke(app, [*SEARCH, "--storage", "mysql://host/base"])
    assert done.exit_code == 2
    assert "SQLite file or in PostgreSQL" in done.output


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("augmentation: {kinds: [typo]}", "a search trains on the rows as they are"),
        ("contrastive_epochs: 2", "in one stage"),
        ("distillation: {teachers: [runs/a]}", "a search trains on labels alone"),
        ("out_of_scope: {path: others.txt, exposure: true}", "out_of_scope.exposure: a search trains on"),
    ],
)
def test_what_a_search_would_leave_out_is_refused(tmp_path: Path, settings: str, message: str) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text(settings, encoding="utf-8")
    done = CliRunner().invoke(app, [*SEARCH, "--config", str(config), "--out", str(tmp_path / "searches")])
    assert done.exit_code == 2
    assert message in done.output
