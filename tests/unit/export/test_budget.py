"""What a variant may lose, as it is written on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer import BadParameter
from typer.testing import CliRunner

from export.__main__ import app
from export.commands.budget import points, share


@pytest.mark.parametrize(
    ("text", "value"), [("0.5pt", 0.5), ("0.5", 0.5), (" 1 pt ", 1.0), ("2points", 2.0), (".25", 0.25), ("0", 0.0)]
)
def test_points_may_say_that_they_are_points(text: str, value: float) -> None:
    assert points(text) == value


@pytest.mark.parametrize(("text", "value"), [("0.98", 0.98), ("98%", 0.98), ("0.2 %", 0.002), ("1", 1.0)])
def test_a_share_may_be_written_in_percent(text: str, value: float) -> None:
    assert share(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["half", "0.5%", "-1", "101pt", "nan", "inf", "", "0,5", "1e400", "5pt 6"])
def test_points_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(BadParameter, match=r"0\.5pt"):
        points(text)


@pytest.mark.parametrize("text", ["98", "-0.1", "nan", "98pt", "101%", "most"])
def test_shares_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(BadParameter, match=r"0\.98"):
        share(text)


@pytest.mark.parametrize(
    ("flag", "value", "part"),
    [
        ("--max-drop", "0.5%", "percentage points"),
        ("--max-drop", "-1", "out of range"),
        ("--min-agreement", "98", "a share from 0 to 1"),
        ("--max-flips", "nan", "is no share"),
        ("--min-structural-agreement", "2", "a share from 0 to 1"),
        ("--calibration-rows", "1", "greater than or equal to 8"),
    ],
)
def test_the_command_refuses_a_bad_budget_before_it_does_anything(
    tmp_path: Path, flag: str, value: str, part: str
) -> None:
    result = CliRunner().invoke(app, ["bundle", "--run", str(tmp_path), flag, value], env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert part in " ".join(result.output.split())
    assert flag in result.output
