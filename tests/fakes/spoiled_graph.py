"""A graph whose answers are no numbers, as those of one that overflows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx


def spoiled(graph: Path, weight: str) -> Path:
    """A copy beside the graph in which the weight whose name ends so is NaN."""
    model = onnx.load(graph)
    (found,) = [each for each in model.graph.initializer if each.name.endswith(weight)]
    values = onnx.numpy_helper.to_array(found)
    found.CopyFrom(onnx.numpy_helper.from_array(np.full_like(values, np.nan), found.name))
    path = graph.with_name("spoiled.onnx")
    onnx.save(model, path)
    return path
