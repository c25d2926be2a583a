"""Makes the graph that a recipe declares."""

from __future__ import annotations

import contextlib
import io
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

from export.recipes.catalogue import FLOAT, HALF
from export.recipes.dynamic import quantize_dynamically
from export.recipes.graphs import Graphs
from export.recipes.half import halve
from export.recipes.kinds import Dynamic, Float, Half, Recipe, Static, WeightOnly
from export.recipes.static import quantize_statically
from export.recipes.weight_only import quantize_weights

__all__ = ["FLOAT", "HALF", "Recipe", "write_graph"]


def write_graph(recipe: Recipe, graphs: Graphs, target: Path) -> Path:
    """Writes the recipe's ONNX graph to `target`."""
    with _silence():
        match recipe:
            case Float():
                shutil.copy(graphs.fused if recipe.fused else graphs.prepared, target)
            case Half():
                halve(graphs, target)
            case Dynamic():
                quantize_dynamically(recipe, graphs, target)
            case Static():
                quantize_statically(recipe, graphs, target)
            case WeightOnly():
                quantize_weights(recipe, graphs, target)
    return target


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """onnxruntime's tools print, warn of what is meant, and one of them configures logging where it is imported."""
    root = logging.getLogger()
    level, handlers, disabled = root.level, list(root.handlers), root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(disabled)
        root.setLevel(level)
        root.handlers[:] = handlers
