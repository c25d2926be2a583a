"""Which code a finished run, encoder or search depends on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import training
from training.fingerprint import source_fingerprint
from training.reuse import BESIDE_MODELS


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package that may be edited."""
    assert training.__file__ is not None
    return Path(shutil.copytree(Path(training.__file__).parent, tmp_path_factory.mktemp("code") / "training"))


def edit_matters(package: Path, file: str) -> bool:
    before = source_fingerprint(package, (".py", ".html", ".css"), BESIDE_MODELS)
    edited = package / file
    edited.write_text(edited.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    return source_fingerprint(package, (".py", ".html", ".css"), BESIDE_MODELS) != before


@pytest.mark.parametrize(
    "file",
    [
        "report/card.py",
        "search/study.py",
        "audit/findings.py",
        "templates/evaluation_report.html",
        "templates/evaluation_parts.html",
        "templates/search_report.html",
        "templates/label_audit.html",
    ],
)
def test_an_edit_of_what_only_looks_at_models_is_no_reason_to_train_again(package: Path, file: str) -> None:
    assert not edit_matters(package, file)


@pytest.mark.parametrize("file", ["trainer.py", "tasks/regression.py", "templates/data_report.html"])
def test_an_edit_of_what_a_run_is_made_with_is(package: Path, file: str) -> None:
    assert edit_matters(package, file)


def test_every_name_that_is_left_out_is_there(package: Path) -> None:
    assert set(BESIDE_MODELS) <= {path.name for path in package.rglob("*")}
