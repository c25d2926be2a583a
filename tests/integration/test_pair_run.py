"""A real tiny BERT classifies pairs of texts: two columns and a label, trained, exported, served."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from export.bundling import export_run
from export.registry import Registry
from export.settings import ExportSettings
from services.clients import Classified, InferenceClient, ItemError
from services.inference.settings import InferenceSettings
from services.quickstart.demonstration import demonstration_of
from tests.fakes.running_server import running_server
from tests.fakes.tiny_encoder import TOPICS, write_tiny_encoder
from training.fine_tuning import fine_tune
from training.progress import Steps
from training.reuse import step_fingerprint
from training.run import RunDirectory, RunRecord
from training.settings_reading import load_settings

QUIET = Console(quiet=True)
FILLERS = ["the", "a", "of", "won", "fell", "new", "old"]


def write_pairs(path: Path, count: int = 600) -> Path:
    """Two texts each; only the second, which is about economy or not, decides."""
    random = np.random.default_rng(0)
    lines = ["premise,hypothesis,label"]
    for position in range(count):
        topic = ["economy", "sports"][position % 2]
        first = [*random.choice(FILLERS, 3).tolist(), str(random.integers(100_000))]
        second = [*random.choice(TOPICS[topic], 2).tolist(), *random.choice(FILLERS, 2).tolist()]
        label = "entailment" if topic == "economy" else "contradiction"
        lines.append(f"{' '.join(first)},{' '.join(second)} {random.integers(100_000)},{label}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunDirectory, RunRecord]:
    folder = tmp_path_factory.mktemp("pairs")
    encoder = write_tiny_encoder(folder / "encoder")
    flags = {"name": "nli", "model": str(encoder), "epochs": 5, "learning_rate": 3e-3, "batch_size": 16}
    settings = load_settings(None, flags, {"path": str(write_pairs(folder / "rows.csv"))})
    directory = RunDirectory(folder / "runs" / "nli")
    return directory, fine_tune(settings, directory, step_fingerprint(settings), QUIET)


def test_pairs_are_trained_proven_and_served(run: tuple[RunDirectory, RunRecord], tmp_path: Path) -> None:
    directory, record = run
    assert record.pair
    assert record.metrics["test"]["accuracy"] > 0.9
    registry = Registry(str(tmp_path))
    bundle, _ = export_run(directory, record, registry, ExportSettings(calibration_rows=64), "0" * 64, Steps(QUIET))
    registry.set_label("nli", "stable", 1)
    assert bundle.manifest.pair
    assert "pairs of texts" in bundle.file(bundle.manifest.model_card).read_text(encoding="utf-8")
    with (
        running_server(InferenceSettings(registry=str(tmp_path), port=0)) as target,
        InferenceClient(target) as client,
    ):
        yes, no, alone = client.classify(
            [("the new of a 1", "bank profit fell 2"), ("the new of a 1", "球队 won the goal 3"), "bank profit"]
        ).results
        shown = demonstration_of(directory.root)
        table = shown.answers(client, "nli", shown.pick(directory.data / "test.jsonl", 4))
    assert isinstance(yes, Classified) and isinstance(no, Classified) and isinstance(alone, ItemError)
    assert [yes.labels[0].name, no.labels[0].name] == ["entailment", "contradiction"]
    assert alone.details.reason == "PAIR_MISSING"
    assert table.row_count == 4
