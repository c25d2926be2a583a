"""A really exported tiny run in which a wrong variant is planted: the gate refuses it, and says what is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers import optimizer
from onnxruntime.transformers.fusion_options import FusionOptions
from rich.console import Console

from export.bundle import MANIFEST, entry, open_bundle
from export.bundling import Exporter
from export.failures import ParityNotProven
from export.golden import Golden
from export.recipes.catalogue import FLOAT, QUANTIZED
from export.recipes.kinds import Recipe
from export.settings import ExportSettings, Gate
from export.variants import Candidate
from services.inference.execution.variant_choice import prepare
from services.inference.metrics import Metrics
from services.inference.settings import InferenceSettings
from tests.fakes.tiny_encoder import toy_rows, write_rows, write_tiny_encoder
from training.fine_tuning import fine_tune
from training.progress import Steps
from training.reuse import step_fingerprint
from training.run import RunDirectory
from training.settings_reading import load_settings

QUIET = Console(quiet=True)
INT8 = QUANTIZED[0]
# a tiny model is not robust enough for the usual 98 % of an honest int8 file; the faults must stand out from this, too
BUDGET = Gate(min_agreement=0.9, max_drop=5.0, max_calibration_shift=0.1)


@dataclass(frozen=True, slots=True)
class Exported:
    """An exporter, and the folder that holds its graphs: raw.onnx, fp32.onnx, int8-static.onnx."""

    exporter: Exporter
    candidates: list[Candidate]
    folder: Path

    def reasons(self, recipe: Recipe, path: Path) -> list[str]:
        """Why the gate refuses the file."""
        candidate = self.exporter.measure(recipe, path)
        assert candidate.passed is not bool(candidate.variant.parity.reasons)
        return candidate.variant.parity.reasons


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp("planted")
    encoder = write_tiny_encoder(folder / "encoder")
    data = write_rows(folder / "rows.csv", toy_rows(600))
    flags = {"name": "toy", "model": str(encoder), "epochs": 6, "learning_rate": 3e-3, "batch_size": 16}
    settings = load_settings(None, flags, {"path": str(data)})
    run = RunDirectory(folder / "runs" / "toy")
    fine_tune(settings, run, step_fingerprint(settings), QUIET)
    record = run.record()
    assert record is not None
    work = folder / "work"
    work.mkdir()
    exporter = Exporter(run, record, ExportSettings(gate=BUDGET, calibration_rows=64), work, Steps(QUIET))
    candidates = exporter.candidates()
    # nothing planted: both pass
    assert {each.variant.name: each.variant.parity.reasons for each in candidates} == {"fp32": [], INT8.name: []}
    return Exported(exporter, candidates, work)


def changed(graph: Path, name: str, pattern: str, change: Callable[[NDArray[np.generic]], NDArray[np.generic]]) -> Path:
    """A copy beside the graph in which the tensors whose name matches are changed; there is at least one."""
    model = onnx.load(graph)
    found = [each for each in model.graph.initializer if re.search(pattern, each.name)]
    assert found, [each.name for each in model.graph.initializer]
    for each in found:
        values = numpy_helper.to_array(each)
        each.CopyFrom(numpy_helper.from_array(change(values).astype(values.dtype), each.name))
    path = graph.with_name(f"{name}.onnx")
    onnx.save(model, path)
    return path


def int8_weights(graph: Path) -> str:
    """A pattern of the names of the quantized matrices."""
    names = [
        each.name
        for each in onnx.load(graph).graph.initializer
        if each.data_type == onnx.TensorProto.INT8 and len(each.dims) == 2
    ]
    assert len(names) >= 12
    return "|".join(f"^{re.escape(name)}$" for name in names)


def classifier(graph: Path) -> str:
    """A pattern of the names of the last matrix and of its bias."""
    pattern = r"classifier\.(weight|bias)$"
    assert len([each for each in onnx.load(graph).graph.initializer if re.search(pattern, each.name)]) == 2
    return pattern


def test_weights_that_saturate_are_refused_for_other_answers(exported: Exported) -> None:
    graph = exported.folder / f"{INT8.name}.onnx"
    clipped = changed(graph, "saturated", int8_weights(graph), lambda values: np.clip(values, -2, 2))
    reasons = exported.reasons(INT8, clipped)
    assert any(reason.startswith("agreement ") for reason in reasons)
    assert any(reason.startswith("accuracy drops by ") for reason in reasons)
    assert not any("flip" in reason or "finite" in reason for reason in reasons)


@pytest.mark.parametrize("recipe", [FLOAT, INT8], ids=lambda recipe: recipe.name)
def test_swapped_labels_are_refused_for_agreement_and_accuracy(exported: Exported, recipe: Recipe) -> None:
    source = exported.folder / f"{FLOAT.name}.onnx"
    # [labels, width] and [labels]: the first two labels change places
    swapped = changed(source, "swapped", classifier(source), lambda values: values[[1, 0, 2]])
    reasons = exported.reasons(recipe, swapped)
    assert any(reason.startswith("agreement 3") for reason in reasons)
    assert any(reason.startswith("accuracy drops by 6") for reason in reasons)
    assert any("a logit differs" in reason for reason in reasons) is (recipe is FLOAT)


def test_a_tensor_of_noise_is_refused(exported: Exported) -> None:
    graph = exported.folder / f"{INT8.name}.onnx"
    random = np.random.default_rng(0)
    last = int8_weights(graph).split("|")[-1]
    noise = changed(graph, "noise", last, lambda values: random.integers(-64, 64, values.shape))
    assert any(reason.startswith("agreement ") for reason in exported.reasons(INT8, noise))


def test_one_row_of_zeros_is_refused_by_its_logits_although_labels_hold(exported: Exported) -> None:
    def one_row(values: NDArray[np.generic]) -> NDArray[np.generic]:
        broken = values.copy()
        broken[0] = 0
        return broken

    graph = exported.folder / f"{FLOAT.name}.onnx"
    zeroed = changed(graph, "zeroed", r"LayerNorm\.weight$", one_row)
    (reason, *_) = exported.reasons(FLOAT, zeroed)
    assert reason.startswith("a logit differs by ")


def fused_by_default(exported: Exported, target: Path) -> Path:
    """The fusion as it comes: attention gets the number of real tokens in place of the mask, as if all padding were right."""
    options = FusionOptions("bert")
    options.enable_embed_layer_norm = False
    source = exported.folder / "raw.onnx"
    fused = optimizer.optimize_model(
        str(source), "bert", num_heads=2, hidden_size=32, optimization_options=options, opt_level=0
    )
    assert fused.get_fused_operator_statistics()["Attention"] == 2
    fused.save_model_to_file(str(target))
    return target


def test_a_fusion_that_assumes_right_padding_is_refused_and_the_shape_is_named(exported: Exported) -> None:
    reasons = exported.reasons(FLOAT, fused_by_default(exported, exported.folder / "right-padding-only.onnx"))
    logit, leak = reasons
    assert re.fullmatch(r"a logit differs by .*, over (left padding|mask with holes)", logit)
    assert leak.startswith("tokens that the mask hides move outputs by ")


def test_the_shapes_tell_which_masks_are_wrong(exported: Exported) -> None:
    path = fused_by_default(exported, exported.folder / "right-padding-only.onnx")
    differences = exported.exporter.measure(FLOAT, path).variant.parity.shape_differences
    assert {shape for shape, difference in differences.items() if difference > 1e-4} == {
        "left padding",
        "mask with holes",
    }


def test_the_same_fusion_is_refused_as_int8_whose_rounding_hides_the_difference(exported: Exported) -> None:
    path = fused_by_default(exported, exported.folder / "right-padding-only.onnx")
    rounded = exported.folder / "right-padding-only-int8.onnx"
    quantize_dynamic(
        str(path),
        str(rounded),
        weight_type=QuantType.QInt8,
        per_channel=True,
        reduce_range=True,
        extra_options={"MatMulConstBOnly": True, "DefaultTensorType": onnx.TensorProto.FLOAT},
    )
    reasons = exported.reasons(INT8, rounded)
    assert any(reason.startswith("tokens that the mask hides move outputs by ") for reason in reasons)
    assert not any("logit differs" in reason for reason in reasons)


def test_attention_to_padding_is_refused_although_each_text_alone_is_right(exported: Exported) -> None:
    model = onnx.load(exported.folder / "raw.onnx")
    readers = [node for node in model.graph.node if "attention_mask" in node.input]
    assert readers
    for node in readers:
        node.input[:] = ["all seen" if name == "attention_mask" else name for name in node.input]
    model.graph.initializer.append(numpy_helper.from_array(np.array(1, np.int64), "one more"))
    model.graph.node.insert(0, onnx.helper.make_node("Add", ["nothing", "one more"], ["all seen"]))
    model.graph.node.insert(0, onnx.helper.make_node("Sub", ["attention_mask", "attention_mask"], ["nothing"]))
    path = exported.folder / "no-mask.onnx"
    onnx.save(model, path)
    # judged as an int8 file, whose logits may differ from the checkpoint's
    parity = exported.exporter.measure(INT8, path).variant.parity
    assert (parity.agreement, parity.drop) == (1.0, 0.0)
    assert parity.worst_arrangement is not None
    assert parity.worst_arrangement.max_logit_drift > 1e-3
    (reason,) = parity.reasons
    assert reason.startswith("tokens that the mask hides move outputs by ")


def test_an_int8_file_that_saturates_where_it_is_served_gives_way_to_the_next(
    exported: Exported, tmp_path: Path
) -> None:
    path = exported.exporter.bundle(exported.candidates, "0" * 64)
    sound = open_bundle(path)
    golden = Golden.read(sound.file(sound.manifest.golden))
    assert len({len(ids) for ids in golden.input_ids}) > 1
    settings = InferenceSettings(state_dir=tmp_path, calibration="off", threads=1)

    # a processor that saturates computes as if the weights were smaller: the file of an honest manifest, which says what it said
    file = sound.path / f"{INT8.name}.onnx"
    changed(file, "saturated-here", int8_weights(file), lambda values: np.clip(values, -2, 2)).replace(file)
    int8_first = sorted(sound.manifest.variants, key=lambda variant: variant.precision != "int8")
    variants = [
        variant.model_copy(update={"file": entry(file)}) if variant.precision == "int8" else variant
        for variant in int8_first
    ]
    # what was measured here is not what is asked: the order counts
    manifest = sound.manifest.model_copy(update={"variants": variants, "choices": []})
    (path / MANIFEST).write_text(manifest.model_dump_json(), encoding="utf-8")
    metrics = Metrics()
    assert prepare(open_bundle(path), golden, settings, metrics).variant.name == FLOAT.name
    labels = {"model": "toy", "variant": INT8.name}
    assert metrics.registry.get_sample_value("bertline_inference_variants_refused_total", labels) == 1.0


def test_nothing_wrong_is_published(exported: Exported) -> None:
    source = exported.folder / f"{FLOAT.name}.onnx"
    swapped = changed(source, "swapped-again", classifier(source), lambda values: values[[2, 0, 1]])
    candidate = exported.exporter.measure(FLOAT, swapped)
    with pytest.raises(ParityNotProven, match="agreement"):
        exported.exporter.bundle([candidate], "0" * 64)
    assert candidate.variant.texts_per_second is None
