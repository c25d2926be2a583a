"""A real tiny BERT is trained by each method that adds modules to it, is exported and proven, and serves."""

from __future__ import annotations

import json
from pathlib import Path

import grpc
import pytest
from bertline.inference.v1 import inference_pb2 as pb
from bertline.inference.v1 import inference_pb2_grpc
from rich.console import Console
from safetensors.torch import load_file

from export.bundling import export_run
from export.registry import Registry
from export.settings import ExportSettings
from services.inference.settings import InferenceSettings
from tests.fakes.running_server import running_server
from tests.fakes.tiny_encoder import toy_rows, write_rows, write_tiny_encoder
from training.fine_tuning import fine_tune
from training.progress import Steps
from training.reuse import step_fingerprint
from training.run import RunDirectory, RunRecord
from training.settings_reading import load_settings

QUIET = Console(quiet=True)

Run = tuple[str, RunDirectory, RunRecord]


@pytest.fixture(scope="module", params=["adalora", "prefix", "adapters"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    method = str(request.param)
    folder = tmp_path_factory.mktemp(method)
    encoder = write_tiny_encoder(folder / "encoder")
    flags = {
        "name": method,
        "model": str(encoder),
        "method": method,
        "pooling": "mean",
        # all the positions that the encoder has
        "max_length": 64,
        "epochs": 8,
        "learning_rate": 2e-2,
        "head_rate_factor": 3.0,
        "batch_size": 16,
        "adapter_reduction_factor": 4,
        "prefix_length": 8,
        "adalora_target_rank": 4,
    }
    settings = load_settings(None, flags, {"path": str(write_rows(folder / "rows.csv", toy_rows(400)))})
    directory = RunDirectory(folder / "runs" / method)
    return method, directory, fine_tune(settings, directory, step_fingerprint(settings), QUIET)


def test_the_method_learns_and_leaves_the_encoder_alone_where_it_can(run: Run) -> None:
    method, directory, record = run
    assert record.metrics["test"]["accuracy"] > 0.7  # of three classes
    assert record.max_length == 64
    assert record.effort is not None
    assert record.effort.trained_weights < 0.7 * record.effort.weights
    before = load_file(directory.root.parents[1] / "encoder" / "model.safetensors")
    after = load_file(directory.checkpoint / "model.safetensors")
    # the vocabulary may have grown, and the pooling layer is left out
    layers = [name for name in after if name.startswith("encoder.")]
    assert {name for name in before if name.startswith("encoder.")} == set(layers)
    same = all(bool((before[name] == after[name]).all()) for name in layers)
    assert same is (method != "adalora")
    assert (directory.checkpoint / "addition.safetensors").is_file() is (method != "adalora")
    assert not list(directory.checkpoint.glob("*.bin"))


def test_the_bundle_is_proven_and_serves(run: Run, tmp_path: Path) -> None:
    method, directory, record = run
    registry = Registry(str(tmp_path))
    bundle, candidates = export_run(
        directory, record, registry, ExportSettings(calibration_rows=64), "0" * 64, Steps(QUIET)
    )
    registry.set_label(method, "stable", 1)
    fp32 = next(each for each in bundle.manifest.variants if each.name == "fp32")
    assert fp32.parity.max_logit_difference < 1e-4
    assert {"mixed lengths", "left padding", "mask with holes", "length 1", "length 64"} <= set(
        fp32.parity.shapes_checked
    )
    int8 = [each.variant.parity for each in candidates if each.variant.precision == "int8"]
    assert int8
    assert all(parity.flips_with_batch_mates == 0.0 for parity in int8)
    lines = (directory.evaluation / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    with (
        running_server(InferenceSettings(registry=str(tmp_path), port=0)) as target,
        grpc.insecure_channel(target) as on,
    ):
        stub = inference_pb2_grpc.InferenceServiceStub(on)
        inputs = [pb.TextInput(text=row["text"]) for row in rows]
        results = stub.Classify(pb.ClassifyRequest(inputs=inputs), timeout=30).results
    served = [result.classification.labels[0].label for result in results]
    # what PyTorch said in the run; a quantized variant may be chosen
    assert sum(label == row["predicted"] for label, row in zip(served, rows, strict=True)) >= 0.95 * len(rows)
