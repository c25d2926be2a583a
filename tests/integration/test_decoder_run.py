"""A real tiny GPT-2 learns to classify, is exported and proven, and serves."""

from __future__ import annotations

from pathlib import Path

import grpc
import numpy as np
import pytest
import torch
from bertline.inference.v1 import inference_pb2 as pb
from bertline.inference.v1 import inference_pb2_grpc
from rich.console import Console

from export.bundling import export_run
from export.graph import export_graph
from export.measurement import Runner
from export.registry import Registry
from export.settings import ExportSettings
from services.inference.settings import InferenceSettings
from tests.fakes.running_server import running_server
from tests.fakes.tiny_encoder import toy_rows, write_rows, write_tiny_decoder
from training.encoders import find_encoder
from training.failures import InvalidSettings
from training.fine_tuning import fine_tune
from training.heads import SequenceClassifier, last_token, load_encoder
from training.model_making import chosen_pooling
from training.progress import Steps
from training.reuse import step_fingerprint
from training.run import RunDirectory, RunRecord
from training.settings_reading import load_settings

QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunDirectory, RunRecord]:
    folder = tmp_path_factory.mktemp("decoder")
    decoder = write_tiny_decoder(folder / "decoder")
    data = write_rows(folder / "rows.csv", toy_rows(400))
    flags = {"name": "gpt", "model": str(decoder), "epochs": 8, "learning_rate": 3e-3, "batch_size": 16}
    settings = load_settings(None, flags, {"path": str(data)})
    directory = RunDirectory(folder / "runs" / "gpt")
    return directory, fine_tune(settings, directory, step_fingerprint(settings), QUIET)


def test_the_last_real_token_stands_for_the_text() -> None:
    hidden = torch.arange(24.0).reshape(2, 4, 3)
    mask = torch.tensor([[1, 1, 0, 0], [1, 0, 1, 1]])
    assert torch.equal(last_token(hidden, mask), torch.stack([hidden[0, 1], hidden[1, 3]]))


def test_a_decoder_learns_by_its_last_token(run: tuple[RunDirectory, RunRecord]) -> None:
    _, record = run
    assert record.pooling == "last"
    assert record.metrics["test"]["accuracy"] > 0.9


def test_the_first_token_of_a_decoder_is_refused(tmp_path: Path) -> None:
    source = find_encoder(str(write_tiny_decoder(tmp_path)))
    with pytest.raises(InvalidSettings, match="the first token sees no other"):
        chosen_pooling("cls", source, load_encoder(source.location).config)


def test_padding_and_holes_do_not_change_what_the_graph_says(
    run: tuple[RunDirectory, RunRecord], tmp_path: Path
) -> None:
    model = SequenceClassifier.load(run[0].checkpoint)
    runner = Runner(export_graph(model, tmp_path / "raw.onnx"), 0)
    ids = np.random.default_rng(0).integers(1, 300, (3, 9))
    mask = np.ones_like(ids)
    mask[0, 5:] = 0
    mask[1, 1::3] = 0
    actual = runner.run({"input_ids": ids, "attention_mask": mask})
    with torch.inference_mode():
        expected = model(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()
    assert np.abs(actual - expected).max() < 1e-5
    alone = runner.run({"input_ids": ids[:1, :5], "attention_mask": mask[:1, :5]})
    assert np.abs(actual[:1] - alone).max() < 1e-5


def test_the_bundle_is_proven_serves_and_explains(run: tuple[RunDirectory, RunRecord], tmp_path: Path) -> None:
    registry = Registry(str(tmp_path))
    bundle, candidates = export_run(*run, registry, ExportSettings(calibration_rows=64), "0" * 64, Steps(QUIET))
    registry.set_label("gpt", "stable", 1)
    assert "fp32" in {variant.name for variant in bundle.manifest.variants}
    int8 = [each.variant.parity for each in candidates if each.variant.precision == "int8"]
    assert int8
    assert all(parity.flips_with_batch_mates == 0.0 for parity in int8)
    with (
        running_server(InferenceSettings(registry=str(tmp_path), port=0)) as target,
        grpc.insecure_channel(target) as on,
    ):
        stub = inference_pb2_grpc.InferenceServiceStub(on)
        texts = [
            pb.TextInput(text=text) for text in ("the old bank rate 12 fell market", "a goal of the team 7 won match")
        ]
        results = stub.Classify(pb.ClassifyRequest(inputs=texts), timeout=30).results
        one_word = stub.Explain(pb.ExplainRequest(input=pb.TextInput(text="goal")), timeout=30)
    assert [result.classification.labels[0].label for result in results] == ["economy", "sports"]
    assert [word.text for word in one_word.words] == ["goal"]
