"""The comparison of methods trains in real processes and tells what each costs."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from tests.fakes.commands import ended, python_m
from tests.fakes.tiny_encoder import toy_rows, write_rows, write_tiny_encoder
from training.method_comparison import METHODS, chosen
from training.run import Effort, RunDirectory
from training.settings import Method

OPTIONS = ("--epochs", "2", "--batch-size", "16", "--threads", "1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows and a tiny encoder."""
    made = tmp_path_factory.mktemp("methods")
    write_tiny_encoder(made / "encoder")
    write_rows(made / "rows.csv", toy_rows(150))
    return made


def command(folder: Path, out: Path, *more: str) -> list[str]:
    compare = ["training", "compare-methods", "--name", "toy", "--out", str(out)]
    return [*compare, "--data", str(folder / "rows.csv"), "--model", str(folder / "encoder"), *OPTIONS, *more]


def rows_of(output: str) -> dict[str, list[str]]:
    """The table's rows by method."""
    lines = [line.split() for line in output.splitlines()]
    return {cells[0]: cells for cells in lines if cells and cells[0] in METHODS and len(cells) > 5}


def effort_of(out: Path, method: str) -> Effort:
    """That of the run, which must be of this method."""
    record = RunDirectory(out / f"toy-{method}").record()
    assert record is not None
    assert record.config["method"] == method
    assert record.effort is not None
    return record.effort


def test_a_method_has_its_row(folder: Path, tmp_path: Path) -> None:
    rows = rows_of(python_m(*command(folder, tmp_path, "--methods", "frozen")))
    assert list(rows) == ["frozen"]
    # the head alone: 32 weights and a bias for each of three labels
    assert rows["frozen"][1] == "99"
    effort = effort_of(tmp_path, "frozen")
    assert effort.epochs == 2
    assert effort.seconds_per_epoch > 0


def test_a_method_that_does_not_fit_costs_the_others_nothing(folder: Path, tmp_path: Path) -> None:
    more = ["--methods", "adapters,prefix", "--prefix-length", "64", "--adapter-reduction-factor", "8"]
    compared = ended(*command(folder, tmp_path, *more))
    assert compared.status == 2
    rows = rows_of(compared.output)
    assert list(rows) == ["adapters"]
    # beside the head in each of two layers two bottlenecks of four values
    assert rows["adapters"][1] == f"{99 + 2 * 2 * (2 * 32 * 4 + 32 + 4):,}"
    assert effort_of(tmp_path, "adapters").epochs == 2
    assert "prefix_length: 64 is more than a text of this encoder can have" in compared.output
    assert "method prefix could not be trained" in compared.output


def test_an_unknown_method_and_a_failing_run_are_explained(folder: Path, tmp_path: Path) -> None:
    unknown = ended(*command(folder, tmp_path, "--methods", "full,magic"))
    assert unknown.status == 2
    assert "there is no method magic" in unknown.output
    failing = ended(*command(folder, tmp_path, "--methods", "full", "--label", "nowhere"))
    assert failing.status == 2
    assert "could not be trained" in failing.output
    assert not rows_of(failing.output)


def test_all_methods_are_compared_unless_some_are_named() -> None:
    assert chosen(None) == list(get_args(Method))
    assert chosen("adapters,full") == ["full", "adapters"]


def test_earlier_runs_stay_when_the_options_are_wrong_and_folders_of_others_always(
    folder: Path, tmp_path: Path
) -> None:
    before = RunDirectory(tmp_path / "toy-full")
    before.trainer.mkdir(parents=True)
    (before.trainer / "fingerprint").write_text("before", encoding="utf-8")
    before.record_path.write_text("{}", encoding="utf-8")
    wrong = ended(*command(folder, tmp_path, "--methods", "full", "--max-length", "0"))
    assert wrong.status == 2
    assert "max_length" in wrong.output
    assert before.record_path.is_file()
    mine = tmp_path / "toy-frozen" / "notes.txt"
    mine.parent.mkdir()
    mine.touch()
    refused = ended(*command(folder, tmp_path, "--methods", "frozen"))
    assert refused.status == 2
    assert "was not made by this command" in " ".join(refused.output.split())
    assert mine.is_file()
