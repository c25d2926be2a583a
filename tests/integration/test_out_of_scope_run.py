"""A real tiny BERT learns three topics and what is none of them, is exported and proven, and says so over gRPC."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from bertline.inference.v1 import inference_pb2 as pb
from bertline.inference.v1 import inference_pb2_grpc
from open_inference import grpc_service_pb2 as oip
from rich.console import Console

from export.bundle import Bundle
from export.bundling import Exporter, export_run
from export.manifest import SCOPE_OUTPUT
from export.quantization import FLOAT
from export.registry import Registry
from export.settings import ExportSettings, Gate
from export.variants import Candidate
from services.clients import AsyncInferenceClient, Classified, InferenceClient
from services.inference.assembly import InferenceServer
from services.inference.settings import InferenceSettings
from tests.fakes.failed_calls import failure
from tests.fakes.running_server import running_server
from tests.fakes.spoiled_graph import spoiled
from tests.fakes.tiny_encoder import toy_rows, write_rows, write_tiny_encoder
from training.dataset import Split
from training.fine_tuning import fine_tune
from training.progress import Steps
from training.reuse import step_fingerprint
from training.run import RunDirectory, RunRecord
from training.settings_reading import load_settings

QUIET = Console(quiet=True)
IN_SCOPE = ["the goal won new team", "球队的比赛", "old bank fell profit", "银行在股市"]
OUTSIDE = ["xyz qq zz", "fghj kkk wvw xq"]


def write_outside(path: Path, count: int = 160) -> Path:
    """Texts of letters that are no word of any topic, one a line."""
    random = np.random.default_rng(1)
    letters = list("bdfghjkqvwxyz")
    lines = {" ".join("".join(random.choice(letters, 3)) for _ in range(random.integers(2, 6))) for _ in range(count)}
    path.write_text("\n".join(sorted(lines)) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunDirectory, RunRecord]:
    folder = tmp_path_factory.mktemp("scope")
    encoder = write_tiny_encoder(folder / "encoder")
    flags = {
        "name": "scoped",
        "model": str(encoder),
        "epochs": 6,
        "learning_rate": 3e-3,
        "batch_size": 16,
    }
    scope = {"path": str(write_outside(folder / "outside.txt")), "exposure": True}
    rows = {"path": str(write_rows(folder / "rows.csv", toy_rows(600)))}
    settings = load_settings(None, flags, rows, {"out_of_scope": scope})
    directory = RunDirectory(folder / "runs" / "scoped")
    return directory, fine_tune(settings, directory, step_fingerprint(settings), QUIET)


@pytest.fixture(scope="module")
def exported(
    run: tuple[RunDirectory, RunRecord], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Bundle, list[Candidate]]:
    folder = tmp_path_factory.mktemp("registry")
    registry = Registry(str(folder))
    settings = ExportSettings(calibration_rows=64, half=True)
    bundle, candidates = export_run(*run, registry, settings, "0" * 64, Steps(QUIET))
    registry.set_label("scoped", "stable", bundle.manifest.version)
    return folder, bundle, candidates


@pytest.fixture(scope="module")
def server(exported: tuple[Path, Bundle, list[Candidate]]) -> Iterator[str]:
    settings = InferenceSettings(registry=str(exported[0]), port=0, cache_bytes=1_000_000)
    with running_server(settings) as target:
        yield target


def test_the_record_says_what_is_found_at_the_operating_point(run: tuple[RunDirectory, RunRecord]) -> None:
    directory, record = run
    scope = record.out_of_scope
    assert scope is not None
    assert scope.acceptance == 0.99
    assert scope.evidence["out_of_scope_recall"] > 0.9
    assert scope.evidence["auroc"] > 0.95
    assert scope.evidence["in_scope_accuracy"] <= min(
        scope.evidence["in_scope_acceptance"], record.metrics["test"]["accuracy"]
    )
    assert set(scope.intervals) == set(scope.evidence)
    assert sum(scope.rows.values()) == sum(len(list(directory.examples(split, outside=True))) for split in Split)
    metrics = (directory.evaluation / "metrics.json").read_text(encoding="utf-8")
    assert '"out_of_scope_recall"' in metrics
    assert '"prediction_sets"' in metrics


def test_every_variant_tells_as_the_checkpoint_does_at_a_threshold_of_its_own(
    run: tuple[RunDirectory, RunRecord], exported: tuple[Path, Bundle, list[Candidate]]
) -> None:
    _, bundle, candidates = exported
    assert {each.variant.precision for each in candidates} == {"fp32", "int8", "fp16"}
    assert bundle.manifest.out_of_scope is not None
    assert bundle.manifest.outputs == ("logits", SCOPE_OUTPUT)
    for variant in bundle.manifest.variants:
        proof = variant.parity.scope
        assert proof is not None
        assert proof.rows > variant.parity.rows
        assert proof.agreement >= 0.97
        assert proof.flips_with_batch_mates == 0.0
        assert bundle.manifest.metrics[variant.name]["out_of_scope_recall"] > 0.9
    assert {"fp32", "fp16"} <= {variant.name for variant in bundle.manifest.variants}
    fp32 = next(each for each in bundle.manifest.variants if each.name == "fp32")
    assert run[1].out_of_scope is not None
    assert fp32.out_of_scope_threshold == pytest.approx(run[1].out_of_scope.threshold, abs=1e-3)
    card = bundle.file(bundle.manifest.model_card).read_text(encoding="utf-8")
    assert "out of scope" in card
    assert "keeps 99 % of the validation rows in scope" in card


def test_a_detector_whose_scores_are_no_numbers_is_refused(run: tuple[RunDirectory, RunRecord], tmp_path: Path) -> None:
    exporter = Exporter(*run, ExportSettings(quantize=False), tmp_path, Steps(QUIET))
    exporter.candidates()
    candidate = exporter.measure(FLOAT, spoiled(tmp_path / "fp32.onnx", "scope.location"))
    assert "a score of the detector is not finite" in candidate.variant.parity.reasons
    assert candidate.metrics == {}


def test_a_smaller_network_tells_at_a_threshold_of_its_own(run: tuple[RunDirectory, RunRecord], tmp_path: Path) -> None:
    settings = ExportSettings(
        quantize=False,
        structures=("neurons-25",),
        structure_rows=64,
        gate=Gate(max_drop=5.0, min_structural_agreement=0.8, min_scope_agreement=0.8),
    )
    candidates = Exporter(*run, settings, tmp_path, Steps(QUIET)).candidates()
    full, smaller = (candidate.variant for candidate in candidates)
    assert smaller.name == "neurons-25-fp32"
    assert smaller.parity.passed, smaller.parity.reasons
    assert smaller.parity.scope is not None and smaller.parity.scope.agreement >= 0.8
    assert smaller.out_of_scope_threshold is not None
    assert smaller.out_of_scope_threshold != full.out_of_scope_threshold


def classified(client: InferenceClient, texts: list[str], **options: float) -> list[Classified]:
    results = client.classify(texts, **options).results  # type: ignore[arg-type]
    assert all(isinstance(each, Classified) for each in results)
    return [each for each in results if isinstance(each, Classified)]


def test_a_text_about_none_of_the_labels_is_told_and_keeps_its_labels(server: str) -> None:
    with InferenceClient(server) as client:
        results = classified(client, [*IN_SCOPE, *OUTSIDE])
        again = classified(client, [*IN_SCOPE, *OUTSIDE])
    told = [each.scope.out_of_scope for each in results if each.scope is not None]
    assert told == [False] * len(IN_SCOPE) + [True] * len(OUTSIDE)
    for each in results:
        assert each.scope is not None
        assert each.scope.out_of_scope is (each.scope.score > each.scope.threshold)
        assert len(each.labels) == 1
    assert all(each.cached for each in again)
    assert [each.scope for each in again] == [each.scope for each in results]


def test_a_stream_tells_alike(server: str) -> None:
    with InferenceClient(server) as client:
        results = list(client.classify_stream([IN_SCOPE[1], OUTSIDE[0]], texts_per_request=1))
    assert [each.scope.out_of_scope for each in results if isinstance(each, Classified) and each.scope] == [False, True]


def test_one_window_in_scope_brings_a_long_text_into_scope(server: str) -> None:
    text = " ".join([*OUTSIDE * 8, "goal team match coach season goal team match " * 8])
    with grpc.insecure_channel(server) as channel:
        stub = inference_pb2_grpc.InferenceServiceStub(channel)
        windows = pb.Windows(overlap_tokens=0, combination=pb.WINDOW_COMBINATION_MAX)
        asked = pb.ClassifyRequest(inputs=[pb.TextInput(text=text)], options=pb.CallOptions(windows=windows))
        (whole,) = stub.Classify(asked, timeout=30).results
        (cut,) = stub.Classify(pb.ClassifyRequest(inputs=asked.inputs), timeout=30).results
    assert whole.classification.window_count > 1
    assert cut.classification.scope.out_of_scope
    assert not whole.classification.scope.out_of_scope


def test_a_set_holds_the_labels_above_the_threshold_of_its_level(
    server: str, exported: tuple[Path, Bundle, list[Candidate]]
) -> None:
    sets = exported[1].manifest.prediction_sets
    assert sets is not None
    with InferenceClient(server) as client:
        reply = client.classify([*IN_SCOPE, *OUTSIDE], top_k=3)
        (variant,) = [each for each in exported[1].manifest.variants if each.name == reply.variant]
        assert variant.set_thresholds is not None
        for level, threshold in zip(sets.levels, variant.set_thresholds, strict=True):
            found = classified(client, [*IN_SCOPE, *OUTSIDE], coverage=level)
            for each, whole in zip(found, reply.results, strict=True):
                assert isinstance(whole, Classified)
                probable = [label for label in whole.labels if label.probability >= threshold]
                assert list(each.labels) == list(probable or whole.labels[:1])


async def _asked_async(server: str) -> list[Classified]:
    async with AsyncInferenceClient(server) as client:
        reply = await client.classify([OUTSIDE[0]], coverage=0.9)
        return [each for each in reply.results if isinstance(each, Classified)]


async def test_the_asyncio_client_tells_and_takes_a_coverage_too(server: str) -> None:
    (result,) = await _asked_async(server)
    assert result.scope is not None
    assert result.scope.out_of_scope
    assert result.labels


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"coverage": 0.0}, "OUT_OF_RANGE"),
        ({"coverage": 0.999}, "OUT_OF_RANGE"),
        ({"coverage": float("nan")}, "OUT_OF_RANGE"),
        ({"coverage": 0.9, "top_k": 2}, "NOT_WITH_COVERAGE"),
        ({"coverage": 0.9, "threshold": 0.5}, "NOT_WITH_COVERAGE"),
    ],
)
def test_a_coverage_that_makes_no_sense_is_refused(server: str, fields: dict[str, float], reason: str) -> None:
    with grpc.insecure_channel(server) as channel:
        stub = inference_pb2_grpc.InferenceServiceStub(channel)
        asked = pb.ClassifyRequest(inputs=[pb.TextInput(text="goal")], **fields)  # type: ignore[arg-type]
        assert failure(lambda: stub.Classify(asked, timeout=30)).reason == reason


def test_the_open_inference_protocol_has_two_outputs_more(server: str) -> None:
    from open_inference import grpc_service_pb2_grpc

    with grpc.insecure_channel(server) as channel:
        stub = grpc_service_pb2_grpc.GRPCInferenceServiceStub(channel)
        asked = oip.ModelInferRequest(model_name="scoped")
        tensor = asked.inputs.add(name="text", datatype="BYTES", shape=[2])
        tensor.contents.bytes_contents.extend([IN_SCOPE[1].encode(), OUTSIDE[0].encode()])
        answer = stub.ModelInfer(asked, timeout=30)
        metadata = stub.ModelMetadata(oip.ModelMetadataRequest(name="scoped"), timeout=30)
        configuration = stub.ModelConfig(oip.ModelConfigRequest(name="scoped"), timeout=30).config
    names = [output.name for output in answer.outputs]
    assert names == ["probabilities", "label", "out_of_scope", SCOPE_OUTPUT]
    assert [output.name for output in metadata.outputs] == [output.name for output in configuration.output] == names
    assert np.frombuffer(answer.raw_output_contents[2], np.bool_).tolist() == [False, True]
    low, high = np.frombuffer(answer.raw_output_contents[3], "<f4")
    assert low <= float(metadata.properties["out_of_scope_threshold"]) < high


async def test_texts_out_of_scope_are_counted(exported: tuple[Path, Bundle, list[Candidate]]) -> None:
    settings = InferenceSettings(registry=str(exported[0]), port=0, metrics_port=0)
    running = await InferenceServer.start(settings)
    try:
        async with AsyncInferenceClient(f"127.0.0.1:{running.port}") as client:
            await client.classify([*IN_SCOPE, *OUTSIDE, OUTSIDE[0]])
        address = f"http://127.0.0.1:{running.metrics_port}/metrics"
        text = await asyncio.to_thread(lambda: urllib.request.urlopen(address, timeout=30).read().decode())
    finally:
        await running.stop(5.0)
    assert 'bertline_inference_out_of_scope_texts_total{model="scoped",version="1"} 3.0' in text
