"""A real tiny BERT learns to rank the candidates of a query, is exported and proven, and ranks over Score."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from export.bundling import export_run
from export.registry import Registry
from export.settings import ExportSettings
from services.clients import InferenceClient, Scored
from services.inference.settings import InferenceSettings
from services.quickstart.demonstration import demonstration_of
from tests.fakes.running_server import running_server
from tests.fakes.tiny_encoder import write_tiny_encoder
from tests.fakes.tiny_questions import write_questions
from training.fine_tuning import fine_tune
from training.progress import Steps
from training.reuse import step_fingerprint
from training.run import RunDirectory, RunRecord
from training.settings import FineTuneSettings
from training.settings_reading import load_settings

QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("ranking")
    encoder = write_tiny_encoder(folder / "encoder")
    return encoder, write_questions(folder / "rows.csv", graded=True)


def settings_for(inputs: tuple[Path, Path], loss: str, **more: object) -> FineTuneSettings:
    encoder, data = inputs
    flags = {
        "name": "faq",
        "task": "pair_scoring",
        "model": str(encoder),
        "loss": loss,
        "epochs": 6,
        "learning_rate": 3e-3,
        "batch_size": 20,
        "early_stopping_patience": 99,
        **more,
    }
    return load_settings(None, flags, {"path": str(data)})


def trained(settings: FineTuneSettings, folder: Path) -> tuple[RunDirectory, RunRecord]:
    run = RunDirectory(folder)
    return run, fine_tune(settings, run, step_fingerprint(settings), QUIET)


@pytest.fixture(scope="module", params=["binary_cross_entropy", "ranknet", "listwise_softmax"])
def run(
    request: pytest.FixtureRequest, inputs: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[RunDirectory, RunRecord]:
    return trained(settings_for(inputs, request.param), tmp_path_factory.mktemp("runs") / "faq")


def test_every_loss_learns_the_order_and_its_bundle_ranks(run: tuple[RunDirectory, RunRecord], tmp_path: Path) -> None:
    directory, record = run
    assert (record.task, record.labels, record.pair) == ("pair_scoring", [], True)
    assert record.metrics["test"]["ndcg_at_10"] > 0.9
    # whatever the loss leaves open, relevance is stated on the scale of the grades
    assert record.metrics["test"]["calibration_error"] < 0.2
    registry = Registry(str(tmp_path))
    bundle, candidates = export_run(
        directory, record, registry, ExportSettings(calibration_rows=64), "0" * 64, Steps(QUIET)
    )
    registry.set_label("faq", "stable", 1)
    manifest = bundle.manifest
    assert manifest.calibration is not None
    assert manifest.temperature == record.temperature
    assert manifest.metrics["fp32"]["ndcg_at_10"] == pytest.approx(record.metrics["test"]["ndcg_at_10"], abs=0.01)
    parities = {each.variant.name: each.variant.parity for each in candidates}
    assert parities["fp32"].agreement > 0.999
    assert all(each.variant.parity.flips_with_batch_mates == 0.0 for each in candidates)
    assert "cross-encoder" in bundle.file(manifest.model_card).read_text(encoding="utf-8")
    with (
        running_server(InferenceSettings(registry=str(tmp_path), port=0)) as target,
        InferenceClient(target) as client,
    ):
        offered = ["the chip of a phone 3", "a goal of the team 7", "银行 share in the market 2"]
        reply = client.score("the new chip of today", offered, raw_scores=True)
        shown = demonstration_of(directory.root)
        table = shown.answers(client, "faq", shown.pick(directory.data / "test.jsonl", 8))
    best = reply.results[0]
    assert isinstance(best, Scored) and best.raw_score is not None
    assert best.index == 2
    assert best.score == pytest.approx(1 / (1 + 2.718281828 ** (-best.raw_score / record.temperature)), abs=1e-4)
    assert best.score > 0.5
    assert table.row_count == 10
    assert "of 2 held-out queries" in str(table.title)
