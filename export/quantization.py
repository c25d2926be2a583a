"""Variants of a graph as declarative recipes. Adding one is adding an entry to `RECIPES`.

Static int8: activations are asymmetric uint8 with scales fixed on training rows, weights symmetric int8 with one scale
a channel, seven bits wide. The eighth bit is given up on purpose: on AVX2 and AVX-512 without VNNI the product of
uint8 and int8 is summed in 16 bits and saturates (onnxruntime documents it as `reduce_range`). Only products with
constant weights are quantized, so attention itself (QK^T and PV) stays float32.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST
from onnxruntime.transformers.onnx_model import OnnxModel

Feed = dict[str, NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one variant is made from the float32 graph."""

    name: str
    precision: Literal["fp32", "fp16", "int8"]
    operators: tuple[str, ...] = ()
    exclude: str = r"(?!)"
    """Nodes whose name matches stay float32."""
    device: Literal["any", "cpu", "cuda", "tensorrt"] = "cpu"
    """Where it is meant to run."""
    fused: bool = True

    def describe(self) -> dict[str, str | int | float | bool | list[str]]:
        """For the manifest: enough to make the variant again."""
        if self.precision == "fp32":
            return {"fused": self.fused}
        if self.precision == "fp16":
            return {"fused": self.fused, "float32_operators": list(KEPT_FLOAT)}
        return {
            "format": "QDQ",
            "activations": "uint8, asymmetric, per tensor",
            "weights": "int8, symmetric, per channel, reduced range",
            "calibration": "minmax",
            "operators": list(self.operators),
            "exclude": self.exclude,
        }


FLOAT = Recipe("fp32", "fp32", device="any")
HALF = Recipe("fp16", "fp16", device="cuda")
PLAIN = Recipe("fp32-plain", "fp32", device="tensorrt", fused=False)
"""TensorRT does its own fusing, and knows none of ONNX Runtime's fused operators."""

KEPT_FLOAT = ("LayerNormalization", "Softmax", "ReduceSum", "ReduceMean", "Pow", "Sqrt", "Div", "Exp")
"""What sums many values, squares or divides overflows float16 at 65,504 or loses small terms. The fused operators (attention,
SkipLayerNormalization) need no such care: their kernels sum in float32."""

SCOPE = "/scope/"
"""How the names of the detector's nodes begin (`training.scope.model`). They stay float32: differences of large sums, in a
thousandth of the model's time."""
DENSE = ("MatMul", "Gemm")
FEED_FORWARD_OUTPUT = r"(output/dense|ffn/lin2)/MatMul"

QUANTIZED = (
    # the embedding tables stay float32: one scale for 30,000 rows costs more agreement than anything else
    Recipe("int8-static", "int8", DENSE),
    # the first feed-forward blocks hold the widest activations
    Recipe("int8-static-mixed", "int8", DENSE, rf"layer\.[01]/{FEED_FORWARD_OUTPUT}"),
    Recipe("int8-static-partial", "int8", DENSE, FEED_FORWARD_OUTPUT),
)
"""Tried in this order until one passes the gate; each keeps more in float32 than the one before."""


class CalibrationRows(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
    """Feeds prepared batches to the calibrator."""

    def __init__(self, feeds: list[Feed]) -> None:
        self._feeds: Iterator[Feed] = iter(feeds)

    def get_next(self) -> Feed | None:
        """The next batch, None at the end."""
        return next(self._feeds, None)


def prepare_graph(source: Path, target: Path) -> Path:
    """Infers shapes and folds constants, which the quantizer needs."""
    quant_pre_process(str(source), str(target), skip_symbolic_shape=True)
    return target


def halve(source: Path, target: Path) -> Path:
    """Writes the graph with float16 weights and activations; its inputs stay int64, its output float32."""
    logging.getLogger("onnxruntime.transformers").setLevel(logging.ERROR)
    model = OnnxModel(onnx.load(str(source)))
    outputs = {output.name for output in model.model.graph.output}
    # with a detector, what it reads is one of the graph's outputs: the head
    read = {name for node in model.model.graph.node if node.name.startswith(SCOPE) for name in node.input} & outputs
    kept = [
        node.name for node in model.model.graph.node if node.name.startswith(SCOPE) or not read.isdisjoint(node.output)
    ]
    # the graph's shapes are known to nobody else: ONNX's inference does not know fused operators
    model.convert_float_to_float16(
        use_symbolic_shape_infer=True,
        keep_io_types=True,
        op_block_list=[*DEFAULT_OP_BLOCK_LIST, *KEPT_FLOAT],
        node_block_list=kept,
    )
    model.save_model_to_file(str(target))
    return target


def quantize(recipe: Recipe, prepared: Path, target: Path, feeds: list[Feed]) -> Path:
    """Writes the quantized graph of a recipe; `feeds` are batches of training rows."""
    logging.getLogger().setLevel(logging.ERROR)
    names = [node.name for node in onnx.load(str(prepared), load_external_data=False).graph.node]
    quantize_static(
        str(prepared),
        str(target),
        CalibrationRows(feeds),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=list(recipe.operators),
        per_channel=True,
        reduce_range=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod.MinMax,
        nodes_to_exclude=[name for name in names if name.startswith(SCOPE) or re.search(recipe.exclude, name)],
        extra_options={"MatMulConstBOnly": True, "WeightSymmetric": True, "ActivationSymmetric": False},
    )
    return target
