"""Training that diverged, in every task: real tiny encoders whose weights are no numbers from the start."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from safetensors.numpy import load_file, save_file

from tests.fakes.annotated_sentences import sentences, write_conll
from tests.fakes.tiny_encoder import toy_rows, write_rows, write_tiny_encoder
from tests.fakes.tiny_pairs import pair_rows, score_rows, write_json_lines
from tests.fakes.tiny_questions import write_questions
from tests.integration.test_multi_label_run import write_rows as write_several_labels
from tests.integration.test_regression_run import write_rows as write_numbers
from training.embedding.fitting import fit_encoder
from training.failures import InvalidSettings
from training.fine_tuning import fine_tune
from training.run import RunDirectory
from training.settings_reading import load_settings
from training.tasks import TASKS
from training.tasks.embedding import Embedding
from training.training_loop import epoch_score

DATA: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "single_label_classification": ("rows.csv", lambda path: write_rows(path, toy_rows(90))),
    "multi_label_classification": ("rows.csv", lambda path: write_several_labels(path, 150)),
    "token_classification": ("rows.conll", lambda path: write_conll(path, sentences(80))),
    "regression": ("rows.csv", lambda path: write_numbers(path, 120)),
    "pair_scoring": ("rows.csv", lambda path: write_questions(path, queries=40)),
    "embedding": ("rows.jsonl", lambda path: write_json_lines(path, pair_rows(90))),
    "embedding by score": ("rows.jsonl", lambda path: write_json_lines(path, score_rows(90))),
    "embedding by label": ("rows.csv", lambda path: write_rows(path, toy_rows(90))),
}


def spoiled(encoder: Path) -> Path:
    """The encoder with one weight that makes all of its outputs no numbers."""
    weights = load_file(encoder / "model.safetensors")
    weights["embeddings.LayerNorm.bias"][0] = np.nan
    save_file(weights, encoder / "model.safetensors", {"format": "pt"})
    return encoder


@pytest.mark.parametrize("case", list(DATA))
def test_a_training_that_diverged_ends_and_says_what_to_do(case: str, tmp_path: Path) -> None:
    name, write = DATA[case]
    task = case.partition(" ")[0]
    encoder = spoiled(write_tiny_encoder(tmp_path / "encoder"))
    data = {"path": str(write(tmp_path / name))}
    settings = load_settings(None, {"name": "x", "task": task, "model": str(encoder), "epochs": 1}, data)
    step = fit_encoder if task == "embedding" else fine_tune
    run = RunDirectory(tmp_path / "runs" / "x")
    with pytest.raises(InvalidSettings, match=r"the training diverged: .*lower learning_rate"):
        step(settings, run, "any", Console(quiet=True))
    assert run.record() is None
    assert not run.checkpoint.exists()


@pytest.mark.parametrize("objective", [*TASKS.values(), Embedding()], ids=lambda each: type(each).__name__)
def test_no_epoch_is_worse_than_one_whose_outputs_are_no_numbers(objective: Any) -> None:
    truth = np.zeros((3, 2), np.float32)
    assert epoch_score(objective, np.array([[0.0, np.nan]] * 3, np.float32), truth) == float("-inf")
