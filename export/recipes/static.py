"""Static int8: scales of activations are fixed on training rows, written as QuantizeLinear and DequantizeLinear."""

from __future__ import annotations

import re
from pathlib import Path

import onnx
from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

from export.recipes.calibration import CalibrationRows
from export.recipes.embeddings import store_by_rows
from export.recipes.graphs import Graphs, of_detector
from export.recipes.kinds import DENSE, Entropy, MinMax, Percentile, Static
from export.recipes.lean import make_lean
from export.recipes.smoothing import smooth

METHODS = {
    MinMax: CalibrationMethod.MinMax,
    Entropy: CalibrationMethod.Entropy,
    Percentile: CalibrationMethod.Percentile,
}


def quantize_statically(recipe: Static, graphs: Graphs, target: Path) -> None:
    """Writes the quantized graph; `graphs` must know training rows."""
    source = graphs.fused_apart if recipe.fused else graphs.prepared
    if recipe.smoothing is not None:
        smoothed = onnx.load(str(source))
        smooth(smoothed, graphs.feeds, recipe.smoothing, graphs.work / "observed.onnx")
        source = graphs.work / f"{recipe.name}-smoothed.onnx"
        onnx.save(smoothed, source)
    graph = onnx.load(str(source), load_external_data=False).graph
    kept = [node.name for node in graph.node if re.search(recipe.exclude, node.name)]
    small = recipe.weights == "int8"
    quantize_static(
        str(source),
        str(target),
        CalibrationRows(graphs.feeds),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=list(DENSE),
        per_channel=recipe.per_channel,
        reduce_range=small,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8 if small else QuantType.QUInt8,
        calibrate_method=METHODS[type(recipe.calibration)],
        nodes_to_exclude=[*of_detector(graph), *kept],
        extra_options={
            "MatMulConstBOnly": True,
            "DefaultTensorType": onnx.TensorProto.FLOAT,
            "WeightSymmetric": small,
            "ActivationSymmetric": False,
            "CalibTensorRangeSymmetric": False,
            "CalibStridedMinMax": CalibrationRows.STRIDE,
            **({"CalibPercentile": recipe.calibration.kept} if isinstance(recipe.calibration, Percentile) else {}),
            **({} if recipe.outputs else {"OpTypesToExcludeOutputQuantization": list(DENSE)}),
        },
    )
    if recipe.row_wise_embeddings:
        store_by_rows(target)
    if recipe.fused:
        make_lean(target)
