"""A real tiny BERT learns to find entities, is exported and proven, and serves them through Tag."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from tokenizers import Tokenizer

from export.bundle import Bundle
from export.bundling import export_run
from export.graph import export_graph
from export.measurement import Runner
from export.registry import Registry
from export.settings import ExportSettings
from export.tag_comparison import TagComparison
from export.variants import Candidate
from services.clients import InferenceClient, Tagged
from services.inference.queries import PLAIN, TextInput
from services.inference.settings import InferenceSettings
from services.inference.tasks.words import words_of as served_words
from services.inference.tokenization import Tokenization
from services.quickstart.entity_answers import entity_answers
from services.quickstart.samples import pick
from tests.fakes.annotated_sentences import WORDS, sentences, write_conll
from tests.fakes.running_server import running_server
from tests.fakes.tiny_encoder import write_tiny_decoder, write_tiny_encoder
from training.dataset import Entity, Example, Split, Word
from training.failures import InvalidSettings
from training.fine_tuning import fine_tune
from training.heads import TokenClassifier, load_model
from training.progress import Steps
from training.report.making import report_of
from training.report.settings import ReportSettings
from training.reuse import step_fingerprint
from training.run import RunDirectory, RunRecord
from training.settings_reading import load_settings
from training.tagging.words import words_of

QUIET = Console(quiet=True)
Run = tuple[RunDirectory, RunRecord]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("entities")
    encoder = write_tiny_encoder(folder / "encoder", words=WORDS)
    flags = {
        "name": "orders",
        "task": "token_classification",
        "model": str(encoder),
        "epochs": 12,
        "learning_rate": 3e-3,
        "batch_size": 16,
    }
    settings = load_settings(None, flags, {"path": str(write_conll(folder / "rows.conll", sentences(400)))})
    directory = RunDirectory(folder / "runs" / "orders")
    return directory, fine_tune(settings, directory, step_fingerprint(settings), QUIET)


@pytest.fixture(scope="module")
def bundle(run: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Bundle, list[Candidate]]:
    """The registry, the published bundle, and all variants that were tried."""
    folder = tmp_path_factory.mktemp("models")
    registry = Registry(str(folder))
    published, candidates = export_run(*run, registry, ExportSettings(calibration_rows=64), "0" * 64, Steps(QUIET))
    registry.set_label("orders", "stable", 1)
    return folder, published, candidates


def test_entities_are_learned(run: Run) -> None:
    directory, record = run
    assert record.labels == ["O", "B-DATE", "I-DATE", "B-ORDER", "I-ORDER", "B-PRODUCT", "I-PRODUCT"]
    assert record.pooling is None
    assert record.metrics["test"]["micro_f1"] > 0.9
    assert record.metrics["test"]["reachable_recall"] == 1.0
    low, high = record.intervals["micro_f1"]
    assert low <= record.metrics["test"]["micro_f1"] <= high
    for name in ("metrics.json", "labels.png", "confusion.png", "calibration.png", "predictions.jsonl"):
        assert (directory.evaluation / name).stat().st_size > 500


def test_the_report_says_which_types_are_found(run: Run) -> None:
    report = report_of(*run, ReportSettings())
    assert [each.title for each in report.headlines][:3] == ["entity F1", "precision", "recall"]
    card = (run[0].evaluation / "model_card.md").read_text(encoding="utf-8")
    assert "to find entities of the types DATE, ORDER, PRODUCT" in card
    assert "pipeline_tag: token-classification" in card


def test_the_most_confident_mistakes_stand_first(run: Run) -> None:
    lines = (run[0].evaluation / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) == len(list(run[0].examples(Split.TEST)))
    surest = [max((each["probability"] for each in row["mistakes"]), default=-1.0) for row in rows]
    assert surest == sorted(surest, reverse=True)
    for row in rows:
        said = {(each["start"], each["end"], each["label"]) for each in row["predicted"]}
        right = {(each["start"], each["end"], each["label"]) for each in row["entities"]}
        assert bool(row["mistakes"]) == (said != right)
        assert all(row["text"][each["start"] : each["end"]] == each["text"] for each in row["predicted"])


def test_a_decoder_is_refused(tmp_path: Path) -> None:
    decoder = write_tiny_decoder(tmp_path / "decoder")
    data = write_conll(tmp_path / "rows.conll", sentences(80))
    flags = {"name": "gpt", "task": "token_classification", "model": str(decoder)}
    settings = load_settings(None, flags, {"path": str(data)})
    with pytest.raises(InvalidSettings, match="a token sees nothing of what stands behind it"):
        fine_tune(settings, RunDirectory(tmp_path / "runs" / "gpt"), step_fingerprint(settings), QUIET)


@pytest.mark.parametrize("method", ["lora", "bitfit", "frozen"])
def test_every_method_trains_a_head_for_tokens(tmp_path: Path, method: str) -> None:
    encoder = write_tiny_encoder(tmp_path / "encoder", words=WORDS)
    data = write_conll(tmp_path / "rows.conll", sentences(80))
    flags = {
        "name": "few",
        "task": "token_classification",
        "model": str(encoder),
        "epochs": 1,
        "method": method,
        "layer_rate_decay": 0.9,
        "loss": "focal",
    }
    settings = load_settings(None, flags, {"path": str(data)})
    run = RunDirectory(tmp_path / "runs" / "few")
    record = fine_tune(settings, run, step_fingerprint(settings), QUIET)
    assert record.effort is not None
    assert record.effort.trained_weights < record.effort.weights
    assert isinstance(load_model(run.checkpoint), TokenClassifier)


def test_padding_and_holes_do_not_change_what_the_graph_says_of_real_tokens(run: Run, tmp_path: Path) -> None:
    model = load_model(run[0].checkpoint)
    assert isinstance(model, TokenClassifier)
    runner = Runner(export_graph(model, tmp_path / "raw.onnx"), 0)
    ids = np.random.default_rng(0).integers(1, 100, (3, 9))
    mask = np.ones_like(ids)
    mask[0, 5:] = 0
    mask[1, 1::3] = 0
    inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    actual = runner.run(inputs)
    assert actual.shape == (3, 9, 7)
    with torch.inference_mode():
        expected = model(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()
    assert np.abs(actual - expected)[mask > 0].max() < 1e-5
    alone = runner.run({name: value[:1, :5] for name, value in inputs.items()})
    assert np.abs(actual[:1, :5] - alone).max() < 1e-5


def test_a_text_flips_when_one_of_its_words_does() -> None:
    words = (Word(0, 1, 1), Word(2, 3, 2))
    texts = [Example("a b", "", entities=(Entity(0, 3, "A"),), words=words) for _ in range(3)]
    compared = TagComparison(["O", "B-A", "I-A"])
    right, words_of_each = compared.right(texts), np.full(3, 2)
    one = np.eye(3, dtype=np.float32)[[1, 2, 1, 2, 0, 0]]
    other = np.eye(3, dtype=np.float32)[[2, 1, 1, 2, 0, 0]]
    assert compared.drift(one, other, words_of_each).share == pytest.approx(1 / 3)
    assert compared.drift(one, one, words_of_each).share == 0.0
    assert compared.agreement(one, other, right) == pytest.approx(4 / 6)
    assert compared.score(one, right) == pytest.approx(4 / 5)


def test_the_bundle_is_proven(run: Run, bundle: tuple[Path, Bundle, list[Candidate]]) -> None:
    _, published, candidates = bundle
    manifest = published.manifest
    assert manifest.task == "token_classification"
    assert manifest.labels == run[1].labels
    assert manifest.metrics["fp32"]["micro_f1"] == pytest.approx(run[1].metrics["test"]["micro_f1"], abs=0.02)
    proofs = {each.variant.precision: each.variant.parity for each in candidates}
    assert proofs["fp32"].agreement == 1.0
    assert proofs["fp32"].accuracy == proofs["fp32"].reference_accuracy == run[1].metrics["validation"]["micro_f1"]
    assert proofs["int8"].flips_with_batch_mates == 0.0
    assert {"mixed lengths", "left padding", "mask with holes", "length 1"} < set(proofs["fp32"].shapes_checked)
    assert "Finds entities in texts" in published.file(manifest.model_card).read_text(encoding="utf-8")


TEXTS = {
    "hello my robot arm broke on 3 may": [("PRODUCT", "robot arm"), ("DATE", "3 may")],
    "please where is order BT-42 thanks": [("ORDER", "BT-42")],
    "你好请问五月三日BT-42的无线耳机": [("DATE", "五月三日"), ("ORDER", "BT-42"), ("PRODUCT", "无线耳机")],
    "谢谢你帮我": [],
}


def test_tag_answers_and_the_quickstart_shows_it(run: Run, bundle: tuple[Path, Bundle, list[Candidate]]) -> None:
    settings = InferenceSettings(registry=str(bundle[0]), port=0)
    samples = pick(run[0].data / "test.jsonl", 40)
    with running_server(settings) as target, InferenceClient(target) as client:
        reply = client.tag(list(TEXTS), model="orders")
        batch = client.tag([sample.text for sample in samples], model="orders")
        table = entity_answers(client, "orders", samples)
    found = {}
    for text, result in zip(TEXTS, reply.results, strict=True):
        assert isinstance(result, Tagged)
        assert all(text[each.start : each.end] == each.text for each in result.entities)
        found[text] = [(each.label, each.text) for each in result.entities]
    assert found == TEXTS
    # served texts get the entities that the evaluation says they get
    lines = (run[0].evaluation / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    judged = {row["text"]: row["predicted"] for row in map(json.loads, lines)}
    for sample, result in zip(samples, batch.results, strict=True):
        assert isinstance(result, Tagged)
        expected = [(each["label"], each["start"], each["end"]) for each in judged[sample.text]]
        assert [(each.label, each.start, each.end) for each in result.entities] == expected
    right = sum(
        {(each["start"], each["end"], each["label"]) for each in judged[sample.text]} == sample.entities
        for sample in samples
    )
    assert f"{right} of {len(samples)} held-out texts with all entities right" in str(table.title)


AWKWARD = [
    "hello BT-42, it's 'new'! (old)",
    "我的iPhone12 Pro，昨天买的。",
    "ﬁne ½ 🚀🇨🇳 naïve Ａｂ　全角",
    "  two  spaces\tand\nlines ",
    "a " * 200,
]


@pytest.mark.parametrize("write", [write_tiny_encoder, write_tiny_decoder])
def test_training_and_serving_see_the_same_words(tmp_path: Path, write: object) -> None:
    assert callable(write)
    file = write(tmp_path) / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.enable_truncation(32)
    serving = Tokenization(file, 32)
    for text in AWKWARD:
        reading = serving.read(TextInput(text), PLAIN, spans=True)
        trained = words_of(tokenizer.encode(text), text)
        served = [(word.start, word.end, word.token) for word in served_words(reading, text)]
        assert [(word.start, word.end, word.token) for word in trained] == served
