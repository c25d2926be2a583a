"""Dynamic int8: scales of activations are found anew for each batch."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

from export.recipes.graphs import Graphs, nearest_products, of_detector
from export.recipes.kinds import Dynamic


def quantize_dynamically(recipe: Dynamic, graphs: Graphs, target: Path) -> None:
    """Writes the quantized graph."""
    source = graphs.fused if recipe.fused else graphs.prepared
    graph = onnx.load(str(source), load_external_data=False).graph
    kept = of_detector(graph) + ([] if recipe.head else nearest_products(graph))
    small = recipe.weights == "int8"
    quantize_dynamic(
        str(source),
        str(target),
        op_types_to_quantize=["MatMul", "Attention", *["Gather"] * recipe.embeddings],
        per_channel=recipe.per_channel,
        reduce_range=small,
        weight_type=QuantType.QInt8 if small else QuantType.QUInt8,
        # a Gemm is taken apart first, into a product of this name and a sum
        nodes_to_exclude=[name for each in kept for name in (each, f"{each}_MatMul")],
        extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT, "MatMulConstBOnly": True, "WeightSymmetric": small},
    )
