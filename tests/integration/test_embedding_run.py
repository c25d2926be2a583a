"""A real tiny BERT learns which texts belong together, is exported and proven, and answers Embed and Score."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from export.__main__ import app as export_app
from export.bundling import export_run
from export.encoder_model import open_encoder
from export.golden_check import golden_faults
from export.quantization import FLOAT
from export.registry import Registry
from export.settings import EncoderGate, ExportSettings
from services.clients import Embedded, InferenceClient, Scored
from services.inference.settings import InferenceSettings
from tests.fakes.running_server import running_server
from tests.fakes.spoiled_graph import spoiled
from tests.fakes.tiny_encoder import toy_rows, write_rows, write_tiny_encoder
from tests.fakes.tiny_pairs import Row, pair_rows, score_rows, write_json_lines
from training.dataset import Split
from training.embedding.evaluation import scores_of, truth_of
from training.embedding.fitting import fit_encoder
from training.embedding.relations import singles
from training.failures import InvalidSettings, UnreadableData, UnusableData
from training.headlines import as_shown, headline
from training.progress import Steps
from training.report.making import report_of, stored_report
from training.report.settings import ReportSettings
from training.reuse import step_fingerprint
from training.run import RunDirectory, RunRecord
from training.settings import FineTuneSettings
from training.settings_reading import load_settings
from training.tasks.embedding import BEFORE, WORDS
from training.trainer import CheckpointClock

QUIET = Console(quiet=True)
LOOSE = ExportSettings(calibration_rows=64, encoder_gate=EncoderGate(min_agreement=0.5, max_drop=50))
"""The nearest of a few dozen random texts flips easily; what is claimed of int8 here is that company does not change it."""


def made(folder: Path, data: Path, **more: object) -> FineTuneSettings:
    encoder = write_tiny_encoder(folder / "encoder")
    flags = {
        "name": "near",
        "task": "embedding",
        "model": str(encoder),
        "epochs": 8,
        "learning_rate": 3e-3,
        "batch_size": 32,
    }
    return load_settings(None, {**flags, **more}, {"path": str(data)})


def trained(folder: Path, settings: FineTuneSettings) -> tuple[RunDirectory, RunRecord]:
    directory = RunDirectory(folder / "runs" / "near")
    return directory, fit_encoder(settings, directory, step_fingerprint(settings), QUIET)


def label_rows(count: int) -> list[Row]:
    return [{"text": text, "label": label} for text, label in toy_rows(count)]


def relation_in(record: RunRecord) -> object:
    data = record.config["data"]
    assert isinstance(data, dict)
    return data["relation"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunDirectory, RunRecord]:
    folder = tmp_path_factory.mktemp("pairs")
    data = write_json_lines(folder / "pairs.jsonl", pair_rows(340))
    return trained(folder, made(folder, data))


@pytest.fixture(scope="module")
def scores_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunDirectory, RunRecord]:
    folder = tmp_path_factory.mktemp("scores")
    return trained(folder, made(folder, write_json_lines(folder / "scores.jsonl", score_rows(300))))


@pytest.fixture(scope="module")
def labels_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunDirectory, RunRecord]:
    folder = tmp_path_factory.mktemp("labels")
    return trained(folder, made(folder, write_rows(folder / "rows.csv", toy_rows(240)), epochs=4))


def test_answers_are_found_that_were_not_found_before(run: tuple[RunDirectory, RunRecord]) -> None:
    directory, record = run
    test, before = record.metrics["test"], record.metrics[BEFORE]
    assert test["recall_at_1"] > before["recall_at_1"] + 0.4
    assert test["mrr_at_10"] > 0.6
    assert record.metrics[WORDS]["recall_at_1"] < 0.3
    assert set(record.intervals) == set(test)
    low, high = record.intervals["mrr_at_10"]
    assert low <= test["mrr_at_10"] <= high
    assert (record.labels, record.pair, record.pooling) == ([], False, "mean")
    assert relation_in(record) == "pair"
    lines = (directory.evaluation / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    assert np.mean([line["rank"] == 1 for line in found]) == pytest.approx(test["recall_at_1"])
    assert {line["nearest"] for line in found} <= {row.text_pair for row in directory.examples(Split.TEST)}


def test_the_checkpoint_is_a_folder_for_sentence_transformers_too(
    run: tuple[RunDirectory, RunRecord], tmp_path: Path
) -> None:
    from sentence_transformers import SentenceTransformer

    checkpoint, texts = run[0].checkpoint, ["the goal chip", "球 的 a", "profit"]
    theirs = SentenceTransformer(str(checkpoint), device="cpu").encode(texts, normalize_embeddings=True)
    encoder = open_encoder(str(checkpoint), "mean", None, tmp_path)
    ours = encoder.vectors(encoder.rows(texts))
    assert np.abs(ours / np.linalg.norm(ours, axis=1, keepdims=True) - theirs).max() < 1e-5
    assert encoder.max_length == run[1].max_length


def test_the_bundle_is_proven_and_answers_embed_and_score(run: tuple[RunDirectory, RunRecord], tmp_path: Path) -> None:
    directory, record = run
    registry = Registry(str(tmp_path))
    bundle, candidates = export_run(directory, record, registry, LOOSE, "0" * 64, Steps(QUIET))
    registry.set_label("near", "stable", 1)
    manifest = bundle.manifest
    assert (manifest.task, manifest.width, manifest.pair) == ("embedding", 32, False)
    assert manifest.metrics["checkpoint"] == record.metrics["test"]
    assert manifest.metrics["fp32"]["mrr_at_10"] == pytest.approx(record.metrics["test"]["mrr_at_10"], abs=1e-3)
    float32 = next(variant.parity for variant in manifest.variants if variant.name == "fp32")
    assert float32.reference_accuracy == pytest.approx(record.metrics["validation"]["mrr_at_10"], abs=1e-3)
    assert float32.max_logit_difference < 1e-4
    int8 = [each.variant.parity for each in candidates if each.variant.precision == "int8"]
    assert int8
    assert all(parity.flips_with_batch_mates == 0.0 for parity in int8)
    assert golden_faults(bundle) == {}
    card = bundle.file(manifest.model_card).read_text(encoding="utf-8")
    assert "fine-tuned" in card
    assert f"MRR@10 {record.metrics['test']['mrr_at_10']:.3f}" in card
    rows = list(directory.examples(Split.TEST))
    answers = list(dict.fromkeys(str(row.text_pair) for row in rows))
    settings = InferenceSettings(registry=str(tmp_path), port=0)
    with running_server(settings) as target, InferenceClient(target) as client:
        ranked = [client.score(row.text, answers, model="near", top_k=1).results[0] for row in rows]
        embedded = client.embed(["the goal chip", "球 的 a"], model="near").results
    assert all(isinstance(each, Scored) for each in ranked)
    right = [
        answers[each.index] == row.text_pair for each, row in zip(ranked, rows, strict=True) if isinstance(each, Scored)
    ]
    assert np.mean(right) == pytest.approx(record.metrics["test"]["recall_at_1"], abs=0.15)
    for each in embedded:
        assert isinstance(each, Embedded)
        assert np.linalg.norm(each.vector) == pytest.approx(1.0, abs=1e-4)


def test_a_variant_that_loses_the_pairs_is_refused(run: tuple[RunDirectory, RunRecord], tmp_path: Path) -> None:
    from export.encoder_proof import judge
    from export.encoder_run import run_encoder_exporter

    exporter = run_encoder_exporter(*run, ExportSettings(quantize=False), tmp_path, Steps(QUIET))
    (sound,) = exporter.candidates()
    worse = sound.variant.parity.model_copy(update={"accuracy": (sound.variant.parity.accuracy or 0.0) - 0.02})
    assert sound.passed
    assert any("drops by 2.00 points" in reason for reason in judge(worse, "int8", EncoderGate()))


@pytest.mark.parametrize("relation", ["run", "scores_run", "labels_run"])
def test_a_variant_whose_vectors_are_no_numbers_is_refused(
    relation: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    from export.encoder_run import run_encoder_exporter

    run = request.getfixturevalue(relation)
    exporter = run_encoder_exporter(*run, ExportSettings(quantize=False), tmp_path, Steps(QUIET))
    exporter.candidates()
    candidate = exporter.measure(FLOAT, spoiled(tmp_path / "fp32.onnx", "embeddings.LayerNorm.bias"))
    assert candidate.variant.parity.reasons == ["an element is not finite"]
    assert (candidate.golden, candidate.metrics, candidate.variant.texts_per_second) == ([], {}, None)


def test_numbers_order_the_cosines(scores_run: tuple[RunDirectory, RunRecord]) -> None:
    _, record = scores_run
    assert relation_in(record) == "score"
    assert record.metrics["test"]["spearman"] > record.metrics[BEFORE]["spearman"] + 0.3
    assert set(record.metrics["test"]) == {"spearman", "pearson"}


def test_texts_of_one_label_come_together(labels_run: tuple[RunDirectory, RunRecord]) -> None:
    _, record = labels_run
    test = record.metrics["test"]
    assert relation_in(record) == "label"
    assert test["mean_average_precision"] > record.metrics[BEFORE]["mean_average_precision"] + 0.2
    assert test["neighbour_accuracy"] > 0.9


@pytest.mark.parametrize(
    ("relation", "title"), [("run", "MRR@10"), ("scores_run", "Spearman"), ("labels_run", "mean average precision")]
)
def test_whatever_says_what_belongs_together_the_command_publishes_labels_and_reports(
    relation: str, title: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    directory, record = request.getfixturevalue(relation)
    report_of(directory, record, ReportSettings())
    registry = Registry(str(tmp_path))
    where = ["--run", str(directory.root), "--registry", str(tmp_path)]
    done = CliRunner().invoke(export_app, ["bundle", *where, "--label", "stable", "--no-quantize"], terminal_width=200)
    assert done.exit_code == 0, done.output
    assert registry.labels("near") == {"stable": 1}
    assert f"test {title}" in done.output
    report = stored_report(directory, record)
    assert report is not None
    assert report.variants is not None
    assert (report.variants.metric, report.variants.agreement) == (title, "same neighbour")
    metric, _ = headline("embedding", record.metrics["test"])
    (row,) = report.variants.rows
    assert row.test == pytest.approx(record.metrics["test"][metric], abs=1e-3)
    for page in ("report.html", "model_card.md"):
        text = (directory.evaluation / page).read_text(encoding="utf-8")
        assert f"test {title}" in text
        assert as_shown(metric, row.test) in text
    listed = CliRunner().invoke(export_app, ["list", "--registry", str(tmp_path)], terminal_width=200)
    assert f"{as_shown(metric, record.metrics['test'][metric])} {title}" in listed.output


@pytest.mark.parametrize("method", ["lora", "bitfit"])
def test_what_a_method_trained_is_merged_into_a_plain_checkpoint(tmp_path: Path, method: str) -> None:
    data = write_json_lines(tmp_path / "pairs.jsonl", pair_rows(120))
    directory, record = trained(tmp_path, made(tmp_path, data, epochs=2, method=method))
    assert record.effort is not None
    assert record.effort.trained_weights < 0.5 * record.effort.weights
    examples = list(directory.examples(Split.TEST))
    encoder = open_encoder(str(directory.checkpoint), "mean", None, tmp_path)
    vectors = encoder.vectors(encoder.rows([each.text for each in singles(examples)]))
    assert scores_of(vectors, truth_of(examples, [])) == pytest.approx(record.metrics["test"], abs=1e-6)
    assert not any("lora" in name for name in encoder.module.state_dict())


@pytest.mark.parametrize("more", [{"hard_negatives": 2}, {"cached_batch": 8}])
def test_the_ways_to_train_go_together_with_pairs(tmp_path: Path, more: dict[str, object]) -> None:
    data = write_json_lines(tmp_path / "pairs.jsonl", pair_rows(200))
    _, record = trained(tmp_path, made(tmp_path, data, epochs=3, **more))
    assert record.metrics["test"]["mrr_at_10"] > record.metrics[BEFORE]["mrr_at_10"] + 0.1


def test_negatives_are_kept_for_an_attempt_that_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(self: Any, args: Any, state: Any, control: Any, **_: Any) -> None:
        raise KeyboardInterrupt

    settings = made(tmp_path, write_json_lines(tmp_path / "pairs.jsonl", pair_rows(80)), epochs=1, hard_negatives=1)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(CheckpointClock, "on_step_end", dies)
        trained(tmp_path, settings)
    kept = tmp_path / "runs" / "near" / "trainer" / "negatives.json"
    assert json.loads(kept.read_text(encoding="utf-8"))["negatives"]
    directory, _ = trained(tmp_path, settings)
    assert not kept.exists()
    assert not list(directory.trainer.glob("checkpoint-*"))


@pytest.mark.parametrize(
    ("rows", "more", "failure", "part"),
    [
        (
            [{"sentence1": "a", "sentence2": "b", "score": "high"}],
            {},
            UnreadableData,
            "line 1, column 'score': 'high' is no",
        ),
        ([{"question": "q", "answer": "a"}], {}, UnusableData, "few|no rows"),
        (score_rows(60), {"hard_negatives": 1}, UnusableData, "hard negatives are for pairs"),
        (label_rows(60), {"batch_size": 3}, InvalidSettings, "batch_size 3: .* give 4 or more"),
        (pair_rows(60), {"method": "frozen"}, InvalidSettings, "nothing would be trained"),
        (
            pair_rows(60),
            {"task": "single_label_classification", "cached_batch": 4},
            InvalidSettings,
            "for the task embedding",
        ),
    ],
)
def test_what_cannot_be_learned_is_said(
    tmp_path: Path, rows: list[Row], more: dict[str, object], failure: type[Exception], part: str
) -> None:
    data = write_json_lines(tmp_path / "rows.jsonl", rows)
    with pytest.raises(failure, match=part):
        trained(tmp_path, made(tmp_path, data, **more))
