"""A real tiny BERT as an ONNX graph, with rows in English and Chinese to fix scales on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from transformers import PretrainedConfig

from export.fusion import fuse
from export.graph import export_graph
from export.measurement import Runner
from export.quantization import Recipe, write_graph
from export.recipes.graphs import Graphs
from export.rows import Row, tokenize
from tests.fakes.tiny_encoder import toy_rows, write_tiny_encoder
from training.dataset import Example
from training.heads import HeadSettings, SequenceClassifier, load_encoder


@dataclass(frozen=True, slots=True)
class TinyExport:
    """The forms of the graph, the rows, and what the encoder says of itself."""

    graphs: Graphs
    rows: list[Row]
    config: PretrainedConfig

    def made(self, recipe: Recipe) -> Path:
        return write_graph(recipe, self.graphs, self.graphs.work / f"{recipe.name}.onnx")

    def logits(self, graph: Path, batch: int = 1) -> NDArray[np.float32]:
        """Of the rows, computed in batches in their order."""
        return Runner(graph, 0).logits(self.rows, range(len(self.rows)), batch)


def tiny_export(folder: Path, count: int = 24) -> TinyExport:
    """Its head tells three labels widely apart; the longest rows are twice as long as the shortest."""
    location = write_tiny_encoder(folder / "encoder")
    torch.manual_seed(1)
    model = SequenceClassifier(load_encoder(str(location)), HeadSettings(labels=["a", "b", "c"], pooling="mean")).eval()
    with torch.no_grad():
        model.classifier.weight.mul_(20)
    raw = export_graph(model, folder / "raw.onnx")
    fuse(raw, folder / "fused.onnx", model.config)
    texts = [text if row % 2 else f"{text} {text}" for row, (text, _) in enumerate(toy_rows(count))]
    rows = tokenize([Example(text, "a") for text in texts], location / "tokenizer.json", 64)
    return TinyExport(Graphs(raw, folder / "fused.onnx", model.config, 0, folder, rows), rows, model.config)


def with_overflow(graph: Path, target: Path) -> Path:
    """A graph that answers alike, whose head reads a tensor that was multiplied by 2,000 twice, and divided by it twice."""
    model = onnx.load(graph)
    head = next(node for node in model.graph.node if node.op_type == "Gemm")
    place = list(model.graph.node).index(head)
    for name, value in (("up", 2000), ("down", 1 / 2000)):
        model.graph.initializer.append(numpy_helper.from_array(np.float32(value), name))
    nodes = [
        onnx.helper.make_node("Mul", [head.input[0], "up"], ["wider"], "widened"),
        onnx.helper.make_node("Mul", ["wider", "up"], ["widest"], "widened again"),
        onnx.helper.make_node("Mul", ["widest", "down"], ["narrower"], "narrowed"),
        onnx.helper.make_node("Mul", ["narrower", "down"], ["narrowest"], "narrowed again"),
    ]
    head.input[0] = "narrowest"
    for offset, node in enumerate(nodes):
        model.graph.node.insert(place + offset, node)
    onnx.save(model, target)
    return target
