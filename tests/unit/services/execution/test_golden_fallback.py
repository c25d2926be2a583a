"""A variant that answers otherwise on this host than where it was proven does not serve; the next one does, and it is told."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from structlog.testing import capture_logs

from export.bundle import MANIFEST, Bundle, entry, open_bundle
from export.failures import MalformedBundle
from export.golden import Golden
from export.golden_check import golden_faults
from services.inference.execution.variant_choice import prepare
from services.inference.metrics import Metrics
from services.inference.settings import InferenceSettings
from tests.fakes.tiny_bundle import publish_tiny
from tests.fakes.tiny_graphs import classification_graph

BROKEN = "int8-static"
Damage = Callable[[onnx.ModelProto], None]


def _weight(graph: onnx.ModelProto, change: Callable[[np.ndarray], np.ndarray]) -> None:
    (found,) = [each for each in graph.graph.initializer if each.name == "weight"]
    found.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(found)).astype(np.float32), "weight"))


def saturates(graph: onnx.ModelProto) -> None:
    """Sums that do not fit are cut off: no logit gets above 1."""
    last = graph.graph.node[-1]
    last.output[0] = "wide"
    graph.graph.initializer.append(numpy_helper.from_array(np.float32(1.0), "most"))
    graph.graph.node.append(helper.make_node("Min", ["wide", "most"], ["logits"]))


def is_no_number(graph: onnx.ModelProto) -> None:
    _weight(graph, lambda values: values * np.nan)


def loses_a_label(graph: onnx.ModelProto) -> None:
    _weight(graph, lambda values: values[:, :-1])
    (bias,) = [each for each in graph.graph.initializer if each.name == "bias"]
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias)[:-1], "bias"))
    graph.graph.output[0].type.tensor_type.shape.dim[1].dim_value -= 1


def has_an_axis_too_many(graph: onnx.ModelProto) -> None:
    last = graph.graph.node[-1]
    last.output[0] = "flat"
    graph.graph.initializer.append(numpy_helper.from_array(np.array([1], np.int64), "middle"))
    graph.graph.node.append(helper.make_node("Unsqueeze", ["flat", "middle"], ["logits"]))
    del graph.graph.output[0].type.tensor_type.shape.dim[:]
    for size in (None, 1, 3):
        dim = graph.graph.output[0].type.tensor_type.shape.dim.add()
        if size is not None:
            dim.dim_value = size


def fails_when_it_runs(graph: onnx.ModelProto) -> None:
    last = graph.graph.node[-1]
    last.output[0] = "sound"
    graph.graph.initializer.append(numpy_helper.from_array(np.array([7, 11], np.int64), "shape"))
    graph.graph.node.append(helper.make_node("Reshape", ["sound", "shape"], ["logits"]))


def with_broken_variant(folder: Path, damage: Damage) -> Bundle:
    """A bundle whose first variant was proven sound and is broken; its file is the one that was published."""
    published = publish_tiny(folder / "registry")
    path = folder / "bundle"
    shutil.copytree(published.path, path)
    graph = classification_graph()
    damage(graph)
    (path / f"{BROKEN}.onnx").write_bytes(graph.SerializeToString())
    manifest = published.manifest
    sound = manifest.variants[0]
    broken = sound.model_copy(
        update={"name": BROKEN, "precision": "int8", "device": "cpu", "file": entry(path / f"{BROKEN}.onnx")}
    )
    golden = Golden.read(published.file(manifest.golden))
    answers = golden.variants["fp32"].model_copy(update={"tolerance": 0.5})
    golden = golden.model_copy(update={"variants": {**golden.variants, BROKEN: answers}})
    (path / "golden.json").write_text(golden.model_dump_json(), encoding="utf-8")
    manifest = manifest.model_copy(update={"variants": [broken, sound], "golden": entry(path / "golden.json")})
    (path / MANIFEST).write_text(manifest.model_dump_json(), encoding="utf-8")
    return open_bundle(path)


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (saturates, "outputs are off by"),
        (is_no_number, "an output is not finite"),
        (loses_a_label, "2 outputs for a row instead of 3"),
        (has_an_axis_too_many, "an output of the shape [1, 3]"),
        (fails_when_it_runs, "ONNX Runtime fails"),
    ],
)
def test_the_next_variant_takes_over_with_a_metric_and_a_log_line(tmp_path: Path, damage: Damage, why: str) -> None:
    bundle = with_broken_variant(tmp_path, damage)
    metrics = Metrics()
    settings = InferenceSettings(state_dir=tmp_path / "state", calibration="off", threads=1)
    with capture_logs() as lines:
        execution = prepare(bundle, Golden.read(bundle.file(bundle.manifest.golden)), settings, metrics)
    assert execution.variant.name == "fp32"
    labels = {"model": "tiny", "variant": BROKEN}
    assert metrics.registry.get_sample_value("bertline_inference_variants_refused_total", labels) == 1.0
    (line,) = [line for line in lines if line["event"] == "variant refused"]
    assert (line["log_level"], line["variant"]) == ("warning", BROKEN)
    assert why in line["why"]
    assert why in golden_faults(bundle)[BROKEN]
    assert list(golden_faults(bundle)) == [BROKEN]


def test_a_variant_without_golden_answers_does_not_serve(tmp_path: Path) -> None:
    bundle = with_broken_variant(tmp_path, lambda graph: None)
    golden = Golden.read(bundle.file(bundle.manifest.golden))
    unproven = golden.model_copy(update={"variants": {"fp32": golden.variants["fp32"]}})
    settings = InferenceSettings(state_dir=tmp_path / "state", calibration="off", threads=1)
    assert prepare(bundle, golden, settings, Metrics()).variant.name == BROKEN
    assert prepare(bundle, unproven, settings, Metrics()).variant.name == "fp32"


def test_a_file_of_another_hash_is_refused_with_its_whole_version(tmp_path: Path) -> None:
    bundle = with_broken_variant(tmp_path, lambda graph: None)
    file = bundle.path / f"{BROKEN}.onnx"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))
    with pytest.raises(MalformedBundle, match=rf"{BROKEN}\.onnx: its SHA-256"):
        open_bundle(bundle.path)
