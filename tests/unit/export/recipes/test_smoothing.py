"""SmoothQuant changes no product, and leaves activations of one width."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import InferenceSession

from export.recipes.calibration import observed
from export.recipes.smoothing import smooth
from tests.fakes.tiny_exports import TinyExport, tiny_export

WIDE = 2
"""The channel of the small graph whose values are a hundred times as wide."""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyExport:
    return tiny_export(tmp_path_factory.mktemp("smoothing"))


@pytest.mark.parametrize("alpha", [0.3, 0.5, 0.9])
def test_the_smoothed_graph_answers_as_before(tiny: TinyExport, tmp_path: Path, alpha: float) -> None:
    model = onnx.load(tiny.graphs.prepared)
    # query, key and value read one tensor: two layers of four products with inputs of their own, and the head
    assert smooth(model, tiny.graphs.feeds, alpha, tmp_path / "observed.onnx") == 2 * 4 + 1
    onnx.save(model, tmp_path / "smoothed.onnx")
    onnx.checker.check_model(model)
    expected = tiny.logits(tiny.graphs.fused)
    assert np.abs(tiny.logits(tmp_path / "smoothed.onnx") - expected).max() < 1e-4


def normalised_products(both_read: bool) -> onnx.ModelProto:
    """x [rows, 4] -> LayerNormalization -> MatMul and a Gemm with transposed weights, summed; with `both_read` the
    normalised values, too."""
    random = np.random.default_rng(0)
    gain = np.ones(4, np.float32)
    gain[WIDE] = 100
    constants = {
        "gain": gain,
        "shift": np.float32([0.1, 0.2, 0.3, 0.4]),
        "first": random.normal(size=(4, 4)).astype(np.float32),
        "second": random.normal(size=(4, 4)).astype(np.float32),
        "bias": np.ones(4, np.float32),
    }
    nodes = [
        helper.make_node("LayerNormalization", ["x", "gain", "shift"], ["normal"], "norm"),
        helper.make_node("MatMul", ["normal", "first"], ["a"], "product"),
        helper.make_node("Gemm", ["normal", "second", "bias"], ["b"], "gemm", transB=1),
        helper.make_node("Add", ["a", "b"], ["c"], "sum"),
        helper.make_node("Add", ["c", "normal" if both_read else "a"], ["y"], "last"),
    ]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", 4]) for name in "xy")
    weights = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    opset = helper.make_opsetid("", 17)
    return helper.make_model(helper.make_graph(nodes, "g", [x], [y], weights), opset_imports=[opset], ir_version=9)


def run(model: onnx.ModelProto, batch: NDArray[np.float32]) -> NDArray[np.float32]:
    session = InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found: NDArray[np.float32] = session.run(None, {"x": batch})[0]
    return found


@pytest.mark.parametrize("both_read", [False, True])
def test_division_goes_into_a_layer_normalisation_that_only_products_read(tmp_path: Path, both_read: bool) -> None:
    model = normalised_products(both_read)
    batch = np.random.default_rng(1).normal(size=(16, 4)).astype(np.float32)
    expected = run(model, batch)
    assert smooth(model, [{"x": batch}], 0.5, tmp_path / "observed.onnx") == 1
    assert np.allclose(run(model, batch), expected, rtol=1e-5, atol=1e-4)
    assert [node.op_type for node in model.graph.node].count("Mul") == int(both_read)
    read = "normal_smoothed" if both_read else "normal"
    (values,) = observed(model, [read], [{"x": batch}], tmp_path / "observed.onnx")
    widest = np.abs(values[read]).max(axis=0)
    # it was a hundred times as wide as the others
    assert widest[WIDE] < 15 * np.delete(widest, WIDE).max()
