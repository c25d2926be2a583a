"""Every task has a report and a card that speak of it, and settings on the page that train the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from rich.console import Console

from tests.fakes.annotated_sentences import WORDS, sentences, write_conll
from tests.fakes.tiny_encoder import toy_rows, write_rows, write_tiny_encoder
from tests.fakes.tiny_pairs import pair_rows, score_rows, write_json_lines
from tests.fakes.tiny_questions import write_questions
from training.dataset import TaskName
from training.embedding.fitting import fit_encoder
from training.fine_tuning import fine_tune
from training.report.card import render_card
from training.report.making import brief_report
from training.report.settings import ReportSettings
from training.reuse import step_fingerprint
from training.run import RunDirectory, RunRecord
from training.settings_reading import load_settings

QUIET = Console(quiet=True)
Run = tuple[RunDirectory, RunRecord]


def write_several(path: Path) -> Path:
    return write_rows(path, [(f"{text} {one}", f"{one}|news") for text, one in toy_rows(150)])


def write_numbers(path: Path) -> Path:
    return write_rows(path, [(text, str(len(text) + number % 7)) for number, (text, _) in enumerate(toy_rows(150))])


CASES: dict[str, tuple[TaskName, Callable[[Path], Path], dict[str, object], dict[str, dict[str, object]]]] = {
    "one label": ("single_label_classification", lambda path: write_rows(path, toy_rows(150)), {}, {}),
    "one label, few rows": (
        "single_label_classification",
        lambda path: write_rows(path, toy_rows(150)),
        {"contrastive_epochs": 1, "method": "frozen"},
        {"augmentation": {"kinds": ("typo",)}, "out_of_scope": {"detector": "energy"}},
    ),
    "labels": ("multi_label_classification", write_several, {}, {}),
    "entities": ("token_classification", lambda path: write_conll(path.with_suffix(".conll"), sentences(150)), {}, {}),
    "numbers": ("regression", write_numbers, {}, {}),
    "relevance": ("pair_scoring", lambda path: write_questions(path, queries=60), {"loss": "ranknet"}, {}),
    "texts": ("embedding", lambda path: write_json_lines(path.with_suffix(".jsonl"), pair_rows(120)), {}, {}),
    "similar texts": ("embedding", lambda path: write_json_lines(path.with_suffix(".jsonl"), score_rows(120)), {}, {}),
    "texts of a label": ("embedding", lambda path: write_rows(path, toy_rows(150)), {}, {}),
}
USES: dict[TaskName, str] = {
    "single_label_classification": "Gives a text one of 3 labels",
    "multi_label_classification": "Says which of 4 labels apply to a text",
    "token_classification": "Finds entities in texts",
    "regression": "a number each",
    "pair_scoring": "A cross-encoder",
    "embedding": "A sentence encoder",
}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tiny_encoder(tmp_path_factory.mktemp("encoder"), words=WORDS))


@pytest.fixture(scope="module", params=CASES)
def run(request: pytest.FixtureRequest, encoder: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    task, write, more, groups = CASES[request.param]
    folder = tmp_path_factory.mktemp("task")
    flags = {"name": "run", "task": task, "model": encoder, "epochs": 1, "batch_size": 16, **more}
    settings = load_settings(None, flags, {"path": str(write(folder / "rows.csv"))}, groups)
    directory = RunDirectory(folder / "run")
    step = fit_encoder if task == "embedding" else fine_tune
    return directory, step(settings, directory, step_fingerprint(settings), QUIET)


def test_there_is_a_case_of_each() -> None:
    assert {task for task, *_ in CASES.values()} == set(get_args(TaskName))


def test_the_card_says_what_the_model_is_for_and_what_intervals_are_drawn_from(run: Run) -> None:
    directory, _ = run
    record = directory.record()
    assert record is not None
    card = render_card(record, brief_report(directory, record, ReportSettings()))
    use = card.partition("## Intended use\n\n")[2].partition("## ")[0]
    assert USES[record.task] in use
    queries = record.task == "pair_scoring" or "mrr_at_10" in record.metrics["test"]
    assert f"bootstrap over the {'queries' if queries else 'rows'}." in card
    assert ", 1 epoch on " in card.partition("## ")[0]
    assert ("what is calibrated" in card) is ("calibration_error" in record.metrics["test"])


def test_the_settings_on_the_page_train_the_same(run: Run, tmp_path: Path) -> None:
    directory, _ = run
    record = directory.record()
    assert record is not None
    file = tmp_path / "settings.yaml"
    file.write_text(brief_report(directory, record, ReportSettings()).reproduction.settings, encoding="utf-8")
    assert load_settings(file, {}, {}).model_dump(mode="json") == record.config
