"""A real tiny BERT is trained, exported, quantized, proven and published; what is broken is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from rich.console import Console
from typer.testing import CliRunner

from export.__main__ import app as export_app
from export.bundling import Exporter, export_run
from export.failures import ExportFailure, ParityNotProven
from export.golden_check import golden_faults
from export.graph import export_graph
from export.host import host_class
from export.inspection import inspected
from export.manifest import Licences
from export.measurement import Runner
from export.places import Place
from export.quantization import FLOAT, HALF
from export.recipes.catalogue import RECIPES
from export.registry import Registry
from export.reuse import complete_run, published_version, step_fingerprint
from export.rows import feed, tokenize
from export.settings import ExportSettings, Gate
from export.signing import SigningKey, TrustedKeys, generate
from tests.fakes.spoiled_graph import spoiled
from tests.fakes.tiny_encoder import toy_rows, write_rows, write_tiny_encoder
from training.dataset import Example, Split
from training.fine_tuning import fine_tune
from training.heads import SequenceClassifier
from training.progress import Steps
from training.reuse import step_fingerprint as training_fingerprint
from training.run import RunDirectory, RunRecord
from training.settings_reading import load_settings

QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    folder = tmp_path_factory.mktemp("export")
    encoder = write_tiny_encoder(folder / "encoder")
    data = write_rows(folder / "rows.csv", toy_rows(400))
    flags = {"name": "toy", "model": str(encoder), "epochs": 8, "learning_rate": 3e-3, "batch_size": 16}
    settings = load_settings(None, flags, {"path": str(data)})
    directory = RunDirectory(folder / "runs" / "toy")
    fine_tune(settings, directory, training_fingerprint(settings), QUIET)
    return directory


@pytest.fixture(scope="module")
def record(run: RunDirectory) -> RunRecord:
    found = run.record()
    assert found is not None
    return found


def test_training_leaves_a_complete_run(run: RunDirectory, record: RunRecord) -> None:
    assert record.metrics["test"]["accuracy"] > 0.9
    assert record.labels == ["economy", "sports", "technology"]
    for path in (
        "data/report.html",
        "evaluation/confusion.png",
        "evaluation/calibration.png",
        "evaluation/metrics.json",
    ):
        assert (run.root / path).stat().st_size > 500
    assert list((run.trainer / "tensorboard").iterdir())
    assert not list(run.trainer.glob("checkpoint-*"))


def test_a_record_of_another_version_of_the_program_counts_as_no_run(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    run.record_path.write_text('{"schema_version": 0}', encoding="utf-8")
    assert run.record() is None
    with pytest.raises(ExportFailure, match="not a complete run"):
        complete_run(run)


def test_the_graph_answers_like_the_checkpoint_also_with_holes_in_the_mask(run: RunDirectory, tmp_path: Path) -> None:
    model = SequenceClassifier.load(run.checkpoint)
    runner = Runner(export_graph(model, tmp_path / "raw.onnx"), 0)
    random = np.random.default_rng(0)
    for rows, length in ((1, 1), (3, 17), (2, 64)):
        ids = random.integers(5, 40, (rows, length))
        mask = np.ones_like(ids)
        mask[:, 1::3] = 0
        types = np.zeros_like(ids)
        actual = runner.run({"input_ids": ids, "attention_mask": mask, "token_type_ids": types})
        with torch.inference_mode():
            expected = model(*map(torch.from_numpy, (ids, mask, types))).numpy()
        assert np.abs(actual - expected).max() < 1e-5


def test_a_run_becomes_a_proven_bundle_and_is_reused(run: RunDirectory, record: RunRecord, tmp_path: Path) -> None:
    registry = Registry(str(tmp_path))
    settings = ExportSettings(calibration_rows=64)
    fingerprint = step_fingerprint(record, settings)
    bundle, candidates = export_run(run, record, registry, settings, fingerprint, Steps(QUIET))
    manifest = bundle.manifest
    assert {variant.name for variant in manifest.variants} >= {"fp32"}
    int8 = [each.variant for each in candidates if each.variant.precision == "int8"]
    assert int8
    assert all(variant.parity.flips_with_batch_mates == 0.0 for variant in int8)
    assert all(variant.parity.passed for variant in manifest.variants)
    assert manifest.calibration.temperature == record.temperature
    assert "| fp32 |" in bundle.file(manifest.model_card).read_text(encoding="utf-8")
    assert golden_faults(bundle) == {}
    assert sum(manifest.token_lengths.values()) == len(list(run.examples(Split.VALIDATION)))
    if len(manifest.variants) > 1:
        (choice,) = manifest.choices
        assert choice.host_class == host_class()
        assert {each.variant for each in choice.measured} == {variant.name for variant in manifest.variants}
    assert published_version(registry, "toy", fingerprint) == 1
    assert published_version(registry, "toy", step_fingerprint(record, ExportSettings(calibration_rows=65))) is None


def test_a_bundle_says_its_licences_lists_its_parts_and_is_signed(
    run: RunDirectory, record: RunRecord, tmp_path: Path
) -> None:
    private, public, _ = generate(tmp_path / "keys")
    registry = Registry(str(tmp_path / "models"), trusted=TrustedKeys((public,)))
    settings = ExportSettings(quantize=False, data_licence="公司内部数据")
    bundle, _ = export_run(run, record, registry, settings, "0" * 64, Steps(QUIET), SigningKey.read(private))
    manifest = bundle.manifest
    assert manifest.licences == Licences(weights="unknown", data="公司内部数据")
    card = bundle.file(manifest.model_card).read_text(encoding="utf-8")
    for heading in ("## Intended use", "## Metrics", "## Variants", "## Limits", "## Licences"):
        assert heading in card
    assert "- Training data: 公司内部数据" in card
    assert manifest.sbom is not None
    bill = bundle.file(manifest.sbom).read_text(encoding="utf-8")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill) is None
    names = {each["name"] for each in json.loads(bill)["components"]}
    assert {"torch", "transformers", "onnx", "tokenizers", "training data", record.encoder} <= names
    place = Place(bundle.path, "toy", ("toy", 1))
    assert [each.fault for each in inspected(place, TrustedKeys((public,))) if each.fault] == []


def test_a_static_int8_answer_does_not_depend_on_batch_mates(
    run: RunDirectory, record: RunRecord, tmp_path: Path
) -> None:
    settings = ExportSettings(calibration_rows=64, gate=Gate(min_agreement=0.5, max_drop=50))
    bundle, _ = export_run(run, record, Registry(str(tmp_path)), settings, "0" * 64, Steps(QUIET))
    variant = next(each for each in bundle.manifest.variants if each.precision == "int8")
    runner = Runner(bundle.file(variant.file), 0)
    examples = list(run.examples(Split.TEST))
    rows = tokenize(examples, bundle.file(bundle.manifest.tokenizer), 64)
    alone = runner.run(feed(rows[:1], runner.names, 0))
    for mates in (rows[:4], rows[:1] + rows[-7:]):
        assert np.abs(runner.run(feed(mates, runner.names, 0))[0] - alone[0]).max() < 1e-4


def test_variants_for_gpus_are_proven_here_and_meant_for_there(
    run: RunDirectory, record: RunRecord, tmp_path: Path
) -> None:
    settings = ExportSettings(quantize=False, half=True, tensorrt=True)
    bundle, _ = export_run(run, record, Registry(str(tmp_path)), settings, "0" * 64, Steps(QUIET))
    variants = {variant.name: variant for variant in bundle.manifest.variants}
    assert [(v.precision, v.device) for v in (variants["fp16"], variants["fp32-plain"])] == [
        ("fp16", "cuda"),
        ("fp32", "tensorrt"),
    ]
    assert bundle.manifest.variants[0].name == "fp32"
    assert variants["fp16"].parity.agreement >= 0.995
    assert golden_faults(bundle) == {}
    half = onnx.load(bundle.file(variants["fp16"].file))
    kinds = {node.name: node.type.tensor_type.elem_type for node in [*half.graph.input, *half.graph.output]}
    assert {kinds.pop("logits")} == {onnx.TensorProto.FLOAT}
    assert set(kinds.values()) == {onnx.TensorProto.INT64}
    assert any(weight.data_type == onnx.TensorProto.FLOAT16 for weight in half.graph.initializer)
    plain = onnx.load(bundle.file(variants["fp32-plain"].file))
    assert {node.domain for node in plain.graph.node} <= {"", "ai.onnx"}


def test_a_broken_variant_is_refused_and_nothing_is_published(
    run: RunDirectory, record: RunRecord, tmp_path: Path
) -> None:
    exporter = Exporter(run, record, ExportSettings(quantize=False), tmp_path, Steps(QUIET))
    sound = exporter.candidates()
    broken = onnx.load(tmp_path / "fp32.onnx")
    head = next(each for each in broken.graph.initializer if each.name.endswith("classifier.bias"))
    head.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(head) + np.float32([0, 0, 9]), head.name))
    onnx.save(broken, tmp_path / "broken.onnx")

    candidate = exporter.measure(FLOAT, tmp_path / "broken.onnx")

    assert sound[0].variant.parity.passed
    assert not candidate.variant.parity.passed
    assert any("agreement" in reason for reason in candidate.variant.parity.reasons)
    with pytest.raises(ParityNotProven, match="a logit differs"):
        exporter.bundle([candidate], "0" * 64)


def test_a_variant_whose_answers_are_no_numbers_is_refused_and_measured_no_further(
    run: RunDirectory, record: RunRecord, tmp_path: Path
) -> None:
    exporter = Exporter(run, record, ExportSettings(quantize=False), tmp_path, Steps(QUIET))
    exporter.candidates()
    broken = spoiled(tmp_path / "fp32.onnx", "classifier.bias")
    for recipe in (FLOAT, HALF):
        candidate = exporter.measure(recipe, broken)
        assert "a logit is not finite" in candidate.variant.parity.reasons
        assert not candidate.passed
        assert (candidate.golden, candidate.metrics, candidate.variant.texts_per_second) == ([], {}, None)


def test_server_and_trainer_tokenize_alike(run: RunDirectory, record: RunRecord) -> None:
    from training.encoding import encode
    from training.model_making import load_tokenizer

    examples = [Example(text, record.labels[0]) for text in ("The TEAM won 球队!", "café naïve", "", "x" * 300)]
    trained = encode(examples, load_tokenizer(str(run.checkpoint)), range(4), 16)
    served = tokenize(examples, run.checkpoint / "tokenizer.json", 16)
    assert [row.input_ids for row in trained.rows] == [row.ids for row in served]


def test_the_variants_that_are_named_are_made_and_those_that_pass_are_published_fastest_first(
    run: RunDirectory, record: RunRecord, tmp_path: Path
) -> None:
    names = ["int8-static-small", "weights4", "fp32"]
    where = ["--run", str(run.root), "--registry", str(tmp_path), "--max-drop", "50", "--min-agreement", "0.5"]
    command = ["bundle", *where, "--calibration-rows", "64", "--variants", ",".join([*names, "int8-dynamic"])]
    done = CliRunner().invoke(export_app, command, terminal_width=200)
    assert done.exit_code == 0, done.output
    registry = Registry(str(tmp_path))
    bundle = registry.open("toy", 1)
    published = bundle.manifest.variants
    assert {each.name for each in published} >= set(names)
    assert {each.name for each in published} <= {*names, "int8-dynamic"}
    speeds = [each.texts_per_second for each in published]
    assert speeds == sorted(speeds, key=lambda speed: -(speed or 0))
    kinds = {each.name: (each.precision, each.recipe["kind"]) for each in published}
    assert kinds["weights4"] == ("int4", "weight-only")
    assert golden_faults(bundle) == {}
    again = CliRunner().invoke(export_app, command, terminal_width=200)
    assert "reused" in again.output
    other = CliRunner().invoke(export_app, [*command[:-1], "fp32"], terminal_width=200)
    assert "published toy version 2" in other.output
    assert [each.name for each in registry.open("toy", 2).manifest.variants] == ["fp32"]


def test_an_unknown_variant_is_refused_before_anything_is_made(run: RunDirectory, tmp_path: Path) -> None:
    where = ["--run", str(run.root), "--registry", str(tmp_path / "models")]
    refused = CliRunner().invoke(export_app, ["bundle", *where, "--variants", "int3"], terminal_width=400)
    assert refused.exit_code == 2
    assert "no recipe is called 'int3'" in refused.output
    assert "int8-static-small" in refused.output
    both = CliRunner().invoke(export_app, ["bundle", *where, "--variants", "all", "--no-quantize"], terminal_width=200)
    assert both.exit_code == 2
    assert not (tmp_path / "models").exists()


def test_every_recipe_is_listed_with_what_it_is() -> None:
    listed = CliRunner().invoke(export_app, ["recipes"], terminal_width=200)
    assert listed.exit_code == 0
    for recipe in RECIPES:
        assert recipe.name in listed.output
