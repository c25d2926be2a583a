"""The float32 graph that variants are made from, in the forms that they start from, and the rows that fix their scales."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import onnx
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime.tools.symbolic_shape_infer import SymbolicShapeInference
from transformers import PretrainedConfig

from export.fusion import fuse
from export.recipes.calibration import batches
from export.rows import Feed, Row

SCOPE = "/scope/"
"""How the names of the detector's nodes begin (`training.scope.model`). They stay float32: differences of large sums, in a
thousandth of the model's time."""


class Graphs:
    """Forms of one graph in a working folder; each is made when first asked for."""

    def __init__(
        self, raw: Path, fused: Path, config: PretrainedConfig, pad: int, work: Path, rows: Sequence[Row]
    ) -> None:
        self.raw = raw
        self.fused = fused
        self._config = config
        self.work = work
        self._rows = rows
        self._pad = pad

    @cached_property
    def prepared(self) -> Path:
        """With inferred shapes and folded constants, which the quantizers need."""
        return prepare_graph(self.raw, self.work / "prepared.onnx")

    @cached_property
    def fused_apart(self) -> Path:
        """Fused, but products with weights stand apart from the attention, so that they can be quantized; shapes inferred.

        `prepared` where the architecture is not known, or the inference, which ONNX's own cannot replace, does not know it.
        """
        target = self.work / "fused-apart.onnx"
        if not fuse(self.prepared, target, self._config, separate_projections=True):
            return self.prepared
        try:
            inferred = SymbolicShapeInference.infer_shapes(onnx.load(str(target)), auto_merge=True)
        except Exception:  # whatever it stumbles over
            return self.prepared
        onnx.save(inferred, str(target))
        return target

    @cached_property
    def feeds(self) -> list[Feed]:
        """Batches of the training rows; none where none are known."""
        graph = onnx.load(str(self.raw), load_external_data=False).graph
        return batches(self._rows, {each.name for each in graph.input}, self._pad)


def prepare_graph(source: Path, target: Path) -> Path:
    """Infers shapes and folds constants."""
    quant_pre_process(str(source), str(target), skip_symbolic_shape=True)
    return target


def of_detector(graph: onnx.GraphProto) -> list[str]:
    """Names of the detector's nodes."""
    return [node.name for node in graph.node if node.name.startswith(SCOPE)]


def nearest_products(graph: onnx.GraphProto) -> list[str]:
    """Names of the products with constant weights that the first output rests on without another between: the head."""
    made = {output: node for node in graph.node for output in node.output}
    constants = {each.name for each in graph.initializer}
    found, seen = [], set()
    waiting = [graph.output[0].name]
    while waiting:
        name = waiting.pop()
        node = made.get(name)
        if node is None or name in seen:
            continue
        seen.add(name)
        if node.op_type in {"MatMul", "Gemm"} and node.input[1] in constants:
            found.append(node.name)
        else:
            waiting.extend(node.input)
    return found
