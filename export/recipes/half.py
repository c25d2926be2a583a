"""float16 for CUDA, with float32 wherever the training rows show that float16 would overflow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST
from onnxruntime.transformers.onnx_model import OnnxModel

from export.recipes.calibration import observed
from export.recipes.graphs import SCOPE, Graphs
from export.recipes.kinds import KEPT_FLOAT
from export.rows import Feed

LARGEST = float(np.finfo(np.float16).max)
LARGEST_WEIGHT = 1e4
"""Weights beyond it are cut by the conversion, which means them to be masks."""


def halve(graphs: Graphs, target: Path) -> None:
    """Writes the graph with float16 weights and activations; its inputs stay int64, its output float32."""
    proto = onnx.load(str(graphs.fused))
    kept = [*_for_detector(proto.graph), *overflowing(proto, graphs.feeds, graphs.work / "observed.onnx")]
    model = OnnxModel(proto)
    # the graph's shapes are known to nobody else: ONNX's inference does not know fused operators
    model.convert_float_to_float16(
        use_symbolic_shape_infer=True,
        keep_io_types=True,
        max_finite_val=LARGEST_WEIGHT,
        op_block_list=[*DEFAULT_OP_BLOCK_LIST, *KEPT_FLOAT],
        node_block_list=kept,
    )
    model.save_model_to_file(str(target))


def overflowing(model: onnx.ModelProto, feeds: Sequence[Feed], aside: Path) -> list[str]:
    """Names of the nodes that must stay float32: with an output beyond float16's range on any of the rows, or that read such a
    tensor or weight. What a fused operator holds inside is not seen; its kernels sum in float32."""
    graph = model.graph
    beyond = {
        each.name
        for each in graph.initializer
        if each.data_type == onnx.TensorProto.FLOAT and _beyond(numpy_helper.to_array(each), LARGEST_WEIGHT)
    }
    made = [output for node in graph.node for output in node.output if output]
    for values in observed(model, made, feeds, aside):
        beyond |= {name for name, value in values.items() if value.dtype == np.float32 and _beyond(value, LARGEST)}
    return [node.name for node in graph.node if not beyond.isdisjoint([*node.input, *node.output])]


def _beyond(values: NDArray[np.generic], largest: float) -> bool:
    # the mask's lowest number is meant to be infinite, and float16 has an own one
    numbers = np.asarray(values, np.float32)
    finite = numbers[np.isfinite(numbers) & (numbers > np.finfo(np.float32).min)]
    return bool(finite.size) and float(np.abs(finite).max()) > largest


def _for_detector(graph: onnx.GraphProto) -> list[str]:
    """The detector's nodes, and what makes the output that they read: the head."""
    outputs = {output.name for output in graph.output}
    read = {name for node in graph.node if node.name.startswith(SCOPE) for name in node.input} & outputs
    return [node.name for node in graph.node if node.name.startswith(SCOPE) or not read.isdisjoint(node.output)]
