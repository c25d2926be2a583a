"""A real tiny BERT learns which of several labels apply, is exported and proven, and serves."""

from __future__ import annotations

from pathlib import Path

import grpc
import numpy as np
import pytest
from bertline.inference.v1 import inference_pb2 as pb
from bertline.inference.v1 import inference_pb2_grpc
from rich.console import Console

from export.bundling import export_run
from export.registry import Registry
from export.settings import ExportSettings
from services.inference.settings import InferenceSettings
from tests.fakes.running_server import running_server
from tests.fakes.tiny_encoder import TOPICS, write_tiny_encoder
from training.fine_tuning import fine_tune
from training.progress import Steps
from training.reuse import step_fingerprint
from training.run import RunDirectory, RunRecord
from training.settings_reading import load_settings

QUIET = Console(quiet=True)


def write_rows(path: Path, count: int = 500) -> Path:
    """Texts with the words of none, one or two topics."""
    random = np.random.default_rng(0)
    names = list(TOPICS)
    lines = ["text,labels"]
    for _ in range(count):
        labels = sorted(random.choice(names, random.choice([0, 1, 1, 2]), replace=False).tolist())
        words = [str(random.choice(TOPICS[label])) for label in labels for _ in range(2)]
        words += random.choice(["the", "a", "of", "won", "fell", "new", "old"], 3).tolist()
        random.shuffle(words)
        lines.append(f'"{" ".join(words)} {random.integers(100_000)}",{"|".join(labels)}')
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunDirectory, RunRecord]:
    folder = tmp_path_factory.mktemp("several")
    encoder = write_tiny_encoder(folder / "encoder")
    flags = {
        "name": "several",
        "task": "multi_label_classification",
        "model": str(encoder),
        "epochs": 8,
        "learning_rate": 3e-3,
        "batch_size": 16,
    }
    settings = load_settings(None, flags, {"path": str(write_rows(folder / "rows.csv"))})
    directory = RunDirectory(folder / "runs" / "several")
    return directory, fine_tune(settings, directory, step_fingerprint(settings), QUIET)


def test_the_labels_are_learned(run: tuple[RunDirectory, RunRecord]) -> None:
    directory, record = run
    assert record.task == "multi_label_classification"
    assert record.metrics["test"]["micro_f1"] > 0.9
    assert record.thresholds is not None
    assert len(record.thresholds) == len(record.labels) == 3
    for name in ("metrics.json", "labels.png", "calibration.png", "predictions.jsonl"):
        assert (directory.evaluation / name).stat().st_size > 500


def test_the_bundle_is_proven_and_serves_the_labels(run: tuple[RunDirectory, RunRecord], tmp_path: Path) -> None:
    registry = Registry(str(tmp_path))
    bundle, candidates = export_run(*run, registry, ExportSettings(calibration_rows=64), "0" * 64, Steps(QUIET))
    registry.set_label("several", "stable", 1)
    manifest = bundle.manifest
    assert manifest.thresholds == run[1].thresholds
    assert manifest.metrics["fp32"]["micro_f1"] == pytest.approx(run[1].metrics["test"]["micro_f1"], abs=0.02)
    int8 = [each.variant.parity for each in candidates if each.variant.precision == "int8"]
    assert int8
    assert all(parity.flips_with_batch_mates == 0.0 for parity in int8)
    card = bundle.file(manifest.model_card).read_text(encoding="utf-8")
    assert "any number of them" in card
    assert "micro F1" in card
    with (
        running_server(InferenceSettings(registry=str(tmp_path), port=0)) as target,
        grpc.insecure_channel(target) as on,
    ):
        stub = inference_pb2_grpc.InferenceServiceStub(on)
        texts = [
            pb.TextInput(text=text) for text in ("the goal of the bank share team", "the old new of a", "chip code")
        ]
        results = stub.Classify(pb.ClassifyRequest(inputs=texts), timeout=30).results
    found = [{each.label for each in result.classification.labels} for result in results]
    assert found == [{"sports", "economy"}, set(), {"technology"}]
