"""Weights of 4 or 8 bits in blocks (MatMulNBits)."""

from __future__ import annotations

from pathlib import Path

import onnx

from export.recipes.embeddings import store_by_rows
from export.recipes.graphs import Graphs, of_detector
from export.recipes.kinds import WeightOnly

INT8_ACTIVATIONS = 4
"""The accuracy level at which kernels round activations to int8, with one scale a row and block."""


def quantize_weights(recipe: WeightOnly, graphs: Graphs, target: Path) -> None:
    """Writes the graph with its products' weights in blocks."""
    # importing it configures logging
    from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, MatMulNBitsQuantizer

    model = onnx.load(str(graphs.prepared))
    config = DefaultWeightOnlyQuantConfig(
        block_size=recipe.block, bits=recipe.bits, accuracy_level=INT8_ACTIVATIONS, op_types_to_quantize=("MatMul",)
    )
    quantizer = MatMulNBitsQuantizer(model, nodes_to_exclude=of_detector(model.graph), algo_config=config)
    quantizer.process()
    quantizer.model.save_model_to_file(str(target))
    if recipe.row_wise_embeddings:
        store_by_rows(target)
