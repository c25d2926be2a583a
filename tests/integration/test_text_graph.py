"""A text graph answers as a server does with the same bundle, over gRPC, in English and Chinese."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from rich.console import Console

from export.bundling import export_run
from export.registry import Registry
from export.settings import ExportSettings
from export.text_graph.proof import text_feed
from export.text_graph.texts import proving_texts
from export.text_graph.writing import write_text_graph
from services.clients import Classified, Embedded, InferenceClient, Regressed, Scored
from services.inference.settings import InferenceSettings
from tests.fakes.running_server import running_server
from tests.fakes.tiny_encoder import toy_rows, write_rows, write_tiny_encoder
from training.fine_tuning import fine_tune
from training.progress import Steps
from training.reuse import step_fingerprint
from training.run import RunDirectory
from training.settings_reading import load_settings

QUIET = Console(quiet=True)
TEXTS = [
    "the BANK and its profit?",
    "球队赢了比赛，again",
    "chip 芯片 Software 😀",
    "Café [SEP] a\u200bb",
    "long " * 60 + "goal",
]


def answers(file: Path, *texts: str | tuple[str, str]) -> dict[str, NDArray[np.float32]]:
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, text_feed(texts)), strict=True))


def written(registry: Path, name: str, folder: Path) -> Path:
    source = Registry(str(registry))
    return write_text_graph(source.open(name, source.resolve(name)), folder / f"{name}.onnx").path


def test_it_answers_as_the_server_does(
    every_task: Path, server_of_every_task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # four files of one tokenizer, which the unit tests try on thousands of texts
    monkeypatch.setattr(
        "export.text_graph.writing.proving_texts",
        lambda words, added, length: proving_texts(words, added, length, 100),
    )
    with InferenceClient(server_of_every_task) as client:
        classified = client.classify(TEXTS, model="tiny", top_k=0).results
        embedded = client.embed(TEXTS, model="vectors").results
        regressed = client.regress(TEXTS, model="stars").results
        scored = client.score("bank 球队", TEXTS, model="ranker").results
    got = answers(written(every_task, "tiny", tmp_path), *TEXTS)
    labels = ["business", "sports", "technology"]
    for row, result in enumerate(classified):
        assert isinstance(result, Classified)
        assert result.labels[0].name == labels[got["label"][row]]
        for label in result.labels:
            assert label.probability == pytest.approx(got["probabilities"][row][labels.index(label.name)], abs=1e-5)
    vectors = answers(written(every_task, "vectors", tmp_path), *TEXTS)["embedding"]
    for row, embedding in enumerate(embedded):
        assert isinstance(embedding, Embedded)
        assert vectors[row] == pytest.approx(np.asarray(embedding.vector), abs=1e-5)
    values = answers(written(every_task, "stars", tmp_path), *TEXTS)["value"]
    assert values == pytest.approx([each.value for each in regressed if isinstance(each, Regressed)], abs=1e-4)
    relevance = answers(written(every_task, "ranker", tmp_path), *[("bank 球队", text) for text in TEXTS])["relevance"]
    for ranked in scored:
        assert isinstance(ranked, Scored)
        assert ranked.score == pytest.approx(relevance[ranked.index], abs=1e-5)


def test_a_quantized_bert_with_its_tokenizer_inside_answers_as_its_server(tmp_path: Path) -> None:
    encoder = write_tiny_encoder(tmp_path / "encoder")
    data = write_rows(tmp_path / "rows.csv", toy_rows(300))
    flags = {"name": "toy", "model": str(encoder), "epochs": 6, "learning_rate": 3e-3, "batch_size": 16}
    settings = load_settings(None, flags, {"path": str(data)})
    run = RunDirectory(tmp_path / "runs" / "toy")
    record = fine_tune(settings, run, step_fingerprint(settings), QUIET)
    registry = Registry(str(tmp_path / "models"))
    bundle, _ = export_run(run, record, registry, ExportSettings(calibration_rows=64), "0" * 64, Steps(QUIET))
    registry.set_label("toy", "stable", 1)
    quantized = next(each.name for each in bundle.manifest.variants if each.precision == "int8")
    for name in ("fp32", quantized):
        file = write_text_graph(bundle, tmp_path / f"{name}.onnx", name).path
        got = answers(file, *TEXTS, "银行 股市 fell again", "the team won")
        assert [bundle.manifest.labels[position] for position in got["label"][-2:]] == ["economy", "sports"]
    with (
        running_server(InferenceSettings(registry=str(tmp_path / "models"), port=0)) as target,
        InferenceClient(target) as client,
    ):
        reply = client.classify(TEXTS, model="toy", top_k=0)
    # the variant that is the fastest on this host
    got = answers(tmp_path / f"{reply.variant}.onnx", *TEXTS)
    for row, result in enumerate(reply.results):
        assert isinstance(result, Classified)
        served = {label.name: label.probability for label in result.labels}
        wanted = [served[name] for name in bundle.manifest.labels]
        assert got["probabilities"][row] == pytest.approx(wanted, abs=1e-3)
