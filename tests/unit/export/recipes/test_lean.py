"""What stands around the integer products gets cheap, and answers stay."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import InferenceSession, SessionOptions

from export.measurement import Runner
from export.recipes.catalogue import named
from export.recipes.lean import make_lean
from export.recipes.static import quantize_statically
from export.rows import feed
from tests.fakes.tiny_exports import TinyExport, tiny_export


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyExport:
    return tiny_export(tmp_path_factory.mktemp("lean"))


@pytest.fixture
def lean(tiny: TinyExport) -> Path:
    (recipe,) = named("int8-fused")
    return tiny.made(recipe)


def operators(path: Path) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load(path).graph.node)


def test_a_lean_graph_answers_like_the_quantized_graph_it_was_made_of(
    tiny: TinyExport, lean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (recipe,) = named("int8-fused")
    monkeypatch.setattr("export.recipes.static.make_lean", lambda path: None)
    quantize_statically(recipe, tiny.graphs, tmp_path / "not-lean.onnx")
    before, after = tiny.logits(tmp_path / "not-lean.onnx"), tiny.logits(lean)
    assert np.abs(after - before).max() < 1e-4


def test_products_take_their_bias_and_slow_operators_are_gone(tiny: TinyExport, lean: Path) -> None:
    layers = tiny.config.num_hidden_layers
    found = operators(lean)
    # queries, keys, values; behind the attention; two of the feed-forward part
    assert found["MatMulIntegerToFloat"] == 6 * layers
    assert found["MultiHeadAttention"] == found["Gelu"] == layers
    assert not {"MatMul", "SkipLayerNormalization", "BiasGelu", "Attention"} & set(found)
    with_bias = [node for node in onnx.load(lean).graph.node if len(node.input) == 7]
    # the attention adds the bias of queries, keys and values itself
    assert len(with_bias) == 3 * layers


def test_the_runtime_does_not_fuse_what_was_taken_apart(lean: Path, tmp_path: Path) -> None:
    options = SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    InferenceSession(str(lean), options, providers=["CPUExecutionProvider"])
    assert "SkipLayerNormalization" not in operators(tmp_path / "optimized.onnx")


def test_a_mask_with_holes_counts_as_in_float32(tiny: TinyExport, lean: Path) -> None:
    batch = feed(tiny.rows[-4:], {"input_ids", "attention_mask", "token_type_ids"}, 0)
    batch["attention_mask"] = batch["attention_mask"].copy()
    batch["attention_mask"][:, 2::3] = 0
    whole, holed = (Runner(path, 0).run(batch) for path in (tiny.graphs.fused, lean))
    assert np.abs(whole - holed).mean() < 0.12 * whole.std()


def quantized_product(path: Path, bias: NDArray[np.float32], transposed: bool = False) -> Path:
    """x [2, 3] -> uint8, times int8 weights [3, 4], plus a bias; the sum is read twice."""
    rng = np.random.default_rng(0)
    constants = {
        "xs": np.float32(0.02),
        "xz": np.uint8(128),
        "w": rng.integers(-63, 64, (3, 4)).astype(np.int8),
        "ws": rng.uniform(0.01, 0.02, 4).astype(np.float32),
        "wz": np.zeros(4, np.int8),
        "b": bias,
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "xs", "xz"], ["xd"]),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wd"], axis=1),
        helper.make_node("MatMul", ["xd", "wd"], ["p"], "product"),
        helper.make_node("Add", ["b", "p"] if transposed else ["p", "b"], ["s"], "sum"),
        helper.make_node("Relu", ["s"], ["y"], "relu"),
        helper.make_node("Neg", ["s"], ["z"], "negated"),
    ]
    floats = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, size]) for name, size in (("x", 3), ("y", 4))]
    floats.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, [2, 4]))
    graph = helper.make_graph(
        nodes,
        "product",
        floats[:1],
        floats[1:],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def outputs(path: Path) -> list[NDArray[np.float32]]:
    x = np.random.default_rng(1).normal(size=(2, 3)).astype(np.float32)
    session = InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return list(session.run(None, {"x": x}))


@pytest.mark.parametrize("transposed", [False, True])
def test_a_bias_that_is_added_goes_into_the_product(tmp_path: Path, transposed: bool) -> None:
    path = quantized_product(tmp_path / "graph.onnx", np.arange(4, dtype=np.float32), transposed)
    before = outputs(path)
    make_lean(path)
    assert all(np.abs(one - other).max() < 1e-5 for one, other in zip(before, outputs(path), strict=True))
    assert "Add" not in operators(path)


def test_what_is_no_bias_stays_apart(tmp_path: Path) -> None:
    path = quantized_product(tmp_path / "graph.onnx", np.ones((2, 4), np.float32))
    before = outputs(path)
    make_lean(path)
    assert operators(path)["Add"] == 1
    assert all(np.abs(one - other).max() < 1e-5 for one, other in zip(before, outputs(path), strict=True))


def test_a_graph_without_products_stays_as_it_is(tiny: TinyExport, tmp_path: Path) -> None:
    path = tmp_path / "raw.onnx"
    path.write_bytes(tiny.graphs.raw.read_bytes())
    before = operators(path)
    make_lean(path)
    assert operators(path) == before
