"""Options declared once as a dataclass are options of a command like any others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from typer.testing import CliRunner

from training.commands.data_options import LabelColumns
from training.commands.option_groups import given, with_option_groups


@dataclass(frozen=True)
class Speed:
    pace: Annotated[int, typer.Option(help="How fast.")]
    loud: Annotated[bool, typer.Option("--loud")] = False


def _app(heard: list[object]) -> typer.Typer:
    app = typer.Typer()

    @app.command()
    @with_option_groups
    def go(where: str, times: int = 1, *, speed: Speed) -> None:
        """Goes."""
        heard.append((where, times, speed))

    return app


def test_each_field_is_an_option_and_the_command_gets_the_group() -> None:
    heard: list[object] = []
    done = CliRunner().invoke(_app(heard), ["home", "--pace", "3", "--loud", "--times", "2"])
    assert done.exit_code == 0, done.output
    assert heard == [("home", 2, Speed(3, loud=True))]


def test_a_field_without_a_default_is_required_and_the_command_keeps_its_help() -> None:
    done = CliRunner().invoke(_app([]), ["home"])
    assert done.exit_code == 2
    assert "--pace" in done.output
    assert "Goes." in CliRunner().invoke(_app([]), ["--help"]).output


def test_only_what_was_given_reaches_the_settings() -> None:
    columns = LabelColumns(text="question", validation=Path("v.csv"))
    assert columns.settings("d.csv", seed=None) == {"text": "question", "validation_path": "v.csv", "path": "d.csv"}
    assert columns.settings(None, seed=3) == {"text": "question", "validation_path": "v.csv", "seed": 3}
    assert given(Speed(3)) == {"pace": 3, "loud": False}
