"""A real tiny BERT learns numbers of texts, is exported and proven, and serves them in their units."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from export.bundling import export_run
from export.registry import Registry
from export.settings import ExportSettings
from services.clients import InferenceClient, Regressed
from services.inference.settings import InferenceSettings
from services.quickstart.demonstration import demonstration_of
from tests.fakes.running_server import running_server
from tests.fakes.tiny_encoder import write_tiny_encoder
from training.fine_tuning import fine_tune
from training.progress import Steps
from training.report.making import report_of
from training.report.settings import ReportSettings
from training.reuse import step_fingerprint
from training.run import RunDirectory, RunRecord
from training.settings_reading import load_settings

QUIET = Console(quiet=True)
PRICES = {"robot": 900.0, "phone": 600.0, "芯": 450.0, "chip": 300.0, "coach": 100.0}
FILLERS = ["the", "a", "of", "new", "old", "good", "bad", "today"]


def write_rows(path: Path, count: int = 500) -> Path:
    """Offers of two things each; the price is the sum of theirs, give or take a little."""
    random = np.random.default_rng(0)
    lines = ["text,price"]
    for _ in range(count):
        things = random.choice(list(PRICES), 2).tolist()
        words = [*things, *random.choice(FILLERS, 4).tolist()]
        random.shuffle(words)
        price = sum(PRICES[thing] for thing in things) + random.normal(0, 10)
        lines.append(f"{' '.join(words)} {random.integers(100_000)},{price:.2f}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunDirectory, RunRecord]:
    folder = tmp_path_factory.mktemp("numbers")
    encoder = write_tiny_encoder(folder / "encoder")
    flags = {
        "name": "prices",
        "task": "regression",
        "model": str(encoder),
        "epochs": 10,
        "learning_rate": 3e-3,
        "batch_size": 16,
    }
    settings = load_settings(None, flags, {"path": str(write_rows(folder / "rows.csv"))})
    directory = RunDirectory(folder / "runs" / "prices")
    return directory, fine_tune(settings, directory, step_fingerprint(settings), QUIET)


def test_the_numbers_are_learned(run: tuple[RunDirectory, RunRecord]) -> None:
    directory, record = run
    assert record.task == "regression"
    assert (record.labels, record.temperature) == ([], 1.0)
    assert record.config["loss"] == "mse"
    assert record.metrics["test"]["r2"] > 0.9
    assert record.metrics["test"]["mae"] < 100
    assert set(record.intervals) == set(record.metrics["test"])
    for name in ("metrics.json", "predicted.png", "predictions.jsonl"):
        assert (directory.evaluation / name).stat().st_size > 500


def test_the_report_shows_what_numbers_have_and_leaves_out_what_only_labels_have(
    run: tuple[RunDirectory, RunRecord],
) -> None:
    directory, record = run
    report = report_of(directory, record, ReportSettings())
    assert [each.metric for each in report.headlines] == ["r2", "mae", "rmse", "pearson", "spearman"]
    page = (directory.evaluation / "report.html").read_text(encoding="utf-8")
    assert "R²" in page and "to give each a number" in page
    assert "data:image/png" in page
    for part in ("labels", "confusion", "mistakes", "robustness", "explanations"):
        assert f'id="{part}"' not in page


def test_the_bundle_is_proven_and_serves_the_numbers(run: tuple[RunDirectory, RunRecord], tmp_path: Path) -> None:
    directory, record = run
    registry = Registry(str(tmp_path))
    bundle, candidates = export_run(
        directory, record, registry, ExportSettings(calibration_rows=64), "0" * 64, Steps(QUIET)
    )
    registry.set_label("prices", "stable", 1)
    manifest = bundle.manifest
    assert manifest.calibration is None
    assert manifest.scale is not None and record.scale is not None
    assert manifest.scale.model_dump() == record.scale.model_dump()
    assert manifest.metrics["fp32"]["r2"] == pytest.approx(record.metrics["test"]["r2"], abs=0.01)
    parities = {each.variant.name: each.variant.parity for each in candidates}
    assert parities["fp32"].agreement > 0.999
    assert parities["fp32"].mean_difference == pytest.approx(0.0, abs=1e-4)
    int8 = [each.variant.parity for each in candidates if each.variant.precision == "int8"]
    assert int8
    assert all(parity.flips_with_batch_mates == 0.0 and parity.max_drift is not None for parity in int8)
    card = bundle.file(manifest.model_card).read_text(encoding="utf-8")
    assert "a number each" in card
    assert "rank agreement" in card
    (row,) = (line for line in card.splitlines() if line.startswith("| fp32 |"))
    assert row.split(" | ")[3] == f"{parities['fp32'].agreement:.4g}"
    with (
        running_server(InferenceSettings(registry=str(tmp_path), port=0)) as target,
        InferenceClient(target) as client,
    ):
        results = client.regress(["the new robot and a phone", "a 芯 of the old coach"]).results
        shown = demonstration_of(directory.root)
        table = shown.answers(client, "prices", shown.pick(directory.data / "test.jsonl", 5))
    values = [result.value for result in results if isinstance(result, Regressed)]
    assert values == [pytest.approx(1500, abs=150), pytest.approx(550, abs=150)]
    assert table.row_count == 5
    assert "mean absolute error" in str(table.title)
