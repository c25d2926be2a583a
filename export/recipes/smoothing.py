"""SmoothQuant (Xiao et al. 2022, arXiv 2211.10438): moves the spread of activations into the weights that read them.

Activations of some channels are far wider than those of others, and one scale for all leaves the narrow ones few steps. Divided
by s and weights multiplied by it, a product stays what it is: s_j = max|x_j|^alpha / max|w_j|^(1 - alpha). onnxruntime's own
wants neural_compressor, in a version whose module newer ones no longer have.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from export.recipes.calibration import observed
from export.recipes.graphs import SCOPE
from export.rows import Feed

LEAST = 1e-5
"""Below it a channel says nothing."""


def smooth(model: onnx.ModelProto, feeds: Sequence[Feed], alpha: float, aside: Path) -> int:
    """Changes the graph in place, which computes what it did; returns how many tensors are divided.

    The division is folded into a layer normalisation that only such products read; elsewhere it is a product of its own, of
    whose output the type is told, as quantizers ask for it. `aside` is where a copy may be written.
    """
    readers = _readers(model.graph)
    widest = _widest(model, readers, feeds, aside)
    for name, products in readers.items():
        _divide(model.graph, name, products, widest[name], alpha)
    return len(readers)


def _readers(graph: onnx.GraphProto) -> dict[str, list[onnx.NodeProto]]:
    """Tensor -> the products with constant weights [in, out] that read it."""
    weights = {each.name for each in graph.initializer if len(each.dims) == 2}
    found: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        if node.name.startswith(SCOPE) or node.op_type not in {"MatMul", "Gemm"} or node.input[1] not in weights:
            continue
        if node.input[0] not in weights and not _attribute(node, "transA"):
            found.setdefault(node.input[0], []).append(node)
    return found


def _widest(
    model: onnx.ModelProto, readers: dict[str, list[onnx.NodeProto]], feeds: Sequence[Feed], aside: Path
) -> dict[str, NDArray[np.float32]]:
    """Tensor -> the largest magnitude of each of its channels, float32 [in]."""
    widest: dict[str, NDArray[np.float32]] = {}
    for values in observed(model, readers, feeds, aside):
        for name, value in values.items():
            largest = np.abs(value.reshape(-1, value.shape[-1])).max(axis=0)
            widest[name] = np.maximum(widest.get(name, largest), largest)
    return widest


def _divide(
    graph: onnx.GraphProto, name: str, products: list[onnx.NodeProto], widest: NDArray[np.float32], alpha: float
) -> None:
    weights = {each.name: each for each in graph.initializer}
    columns = [_columns(node, weights[node.input[1]]) for node in products]
    heaviest = np.max([np.abs(each).max(axis=1) for each in columns], axis=0)
    scales = np.maximum(widest, LEAST) ** alpha / np.maximum(heaviest, LEAST) ** (1 - alpha)
    scales = np.maximum(scales, LEAST).astype(np.float32)
    for node, matrix in zip(products, columns, strict=True):
        # another product may read the same weights beside other activations
        own = f"{node.input[1]}_of_{node.name}_smoothed"
        scaled = matrix * scales[:, None]
        graph.initializer.append(numpy_helper.from_array(scaled.T if _attribute(node, "transB") else scaled, own))
        former, node.input[1] = node.input[1], own
        if not any(former in each.input for each in graph.node):
            graph.initializer.remove(weights[former])
    if not _folded(graph, name, products, scales):
        _insert(graph, name, products, scales)


def _folded(graph: onnx.GraphProto, name: str, products: list[onnx.NodeProto], scales: NDArray[np.float32]) -> bool:
    maker = next((node for node in graph.node if name in node.output), None)
    weights = {each.name: each for each in graph.initializer}
    readers = [node for node in graph.node if name in node.input]
    if maker is None or maker.op_type != "LayerNormalization" or len(readers) > len(products):
        return False
    parts = list(maker.input[1:])
    if any(part not in weights for part in parts) or any(output.name == name for output in graph.output):
        return False
    for place, part in enumerate(parts, start=1):
        own = f"{part}_of_{maker.name}_smoothed"
        graph.initializer.append(numpy_helper.from_array(numpy_helper.to_array(weights[part]) / scales, own))
        maker.input[place] = own
    return True


def _insert(graph: onnx.GraphProto, name: str, products: list[onnx.NodeProto], scales: NDArray[np.float32]) -> None:
    smoothed, factors = f"{name}_smoothed", f"{name}_factors"
    graph.initializer.append(numpy_helper.from_array(1 / scales, factors))
    first = min(list(graph.node).index(node) for node in products)
    for node in products:
        node.input[0] = smoothed
    graph.node.insert(first, onnx.helper.make_node("Mul", [name, factors], [smoothed], f"{smoothed}_product"))
    known = next((each for each in graph.value_info if each.name == name), None)
    if known is None:
        graph.value_info.append(onnx.helper.make_tensor_value_info(smoothed, onnx.TensorProto.FLOAT, None))
        return
    told = graph.value_info.add()
    told.CopyFrom(known)
    told.name = smoothed


def _columns(node: onnx.NodeProto, weights: onnx.TensorProto) -> NDArray[np.float32]:
    """Weights float32 [in, out]."""
    matrix: NDArray[np.float32] = numpy_helper.to_array(weights)
    return matrix.T if _attribute(node, "transB") else matrix


def _attribute(node: onnx.NodeProto, name: str) -> int:
    return next((attribute.i for attribute in node.attribute if attribute.name == name), 0)
