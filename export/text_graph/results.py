"""From a variant's outputs to what a caller wants, as nodes, and the same in NumPy to prove them by.

single_label_classification    probabilities  float32 [batch, labels], of the calibrated temperature; they sum up to 1
                               label          int64 [batch], position of the best one
    that tells texts out of scope:
                               out_of_scope_score  float32 [batch], higher means farther out
                               out_of_scope        bool [batch], whether it is above the variant's threshold
multi_label_classification     probabilities  float32 [batch, labels], each one's own
                               applies        bool [batch, labels], whether it reaches the label's threshold
regression                     value          float32 [batch], in the units of the training rows
embedding                      embedding      float32 [batch, width], of length 1 (L2); zeros stay zeros
pair_scoring                   relevance      float32 [batch], in [0, 1]
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from export.failures import ExportFailure
from export.manifest import SCOPE_OUTPUT, Manifest, Variant
from export.text_graph.nodes import Nodes

SHORTEST = 1e-12
"""A vector that is shorter is not made longer than that would make it."""

FLOAT, INT, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL

Output = tuple[str, int, list[str | int]]
"""Name in the graph, element type, shape."""
Arrays = dict[str, NDArray[Any]]


def check_task(manifest: Manifest) -> None:
    """Raises ExportFailure for a task whose results are not numbers of a text."""
    if manifest.task == "token_classification":
        raise ExportFailure(
            f"{manifest.name} labels words, and a graph that reads texts has no places of words to give; "
            "use the tokenizer's offsets with the .onnx file, or Tag of a server"
        )


def add_results(nodes: Nodes, manifest: Manifest, variant: Variant, outputs: dict[str, str]) -> dict[str, Output]:
    """Adds nodes behind the variant's outputs, whose names are given by what the manifest calls them. By the result's name."""
    task = manifest.task
    if task == "embedding":
        return {"embedding": (_unit(nodes, outputs["embedding"]), FLOAT, ["batch", manifest.width or 0])}
    logits = outputs["logits"]
    if task == "regression":
        return {"value": (_value(nodes, logits, manifest), FLOAT, ["batch"])}
    scaled = nodes.add("Div", logits, nodes.constant(manifest.temperature, np.float32))
    if task == "pair_scoring":
        relevance = nodes.add("Reshape", nodes.add("Sigmoid", scaled), nodes.constant([-1]))
        return {"relevance": (relevance, FLOAT, ["batch"])}
    labels = len(manifest.labels)
    if manifest.thresholds is not None:
        each = nodes.add("Sigmoid", scaled)
        applies = nodes.add("GreaterOrEqual", each, nodes.constant(manifest.thresholds, np.float32))
        shape: list[str | int] = ["batch", labels]
        return {"probabilities": (each, FLOAT, shape), "applies": (applies, BOOL, shape)}
    shared = nodes.add("Softmax", scaled, axis=-1)
    best = nodes.add("ArgMax", shared, axis=-1, keepdims=0)
    found: dict[str, Output] = {"probabilities": (shared, FLOAT, ["batch", labels]), "label": (best, INT, ["batch"])}
    if variant.out_of_scope_threshold is not None:
        score = nodes.add("Reshape", outputs[SCOPE_OUTPUT], nodes.constant([-1]))
        out = nodes.add("Greater", score, nodes.constant(variant.out_of_scope_threshold, np.float32))
        found |= {SCOPE_OUTPUT: (score, FLOAT, ["batch"]), "out_of_scope": (out, BOOL, ["batch"])}
    return found


def _unit(nodes: Nodes, vectors: str) -> str:
    squares = nodes.add("ReduceSum", nodes.add("Mul", vectors, vectors), nodes.constant([-1]), keepdims=1)
    lengths = nodes.add("Max", nodes.add("Sqrt", squares), nodes.constant(SHORTEST, np.float32))
    return nodes.add("Div", vectors, lengths)


def _value(nodes: Nodes, logits: str, manifest: Manifest) -> str:
    scale = manifest.scale
    assert scale is not None  # the manifest of this task has one
    # a mean of millions and a deviation of one would leave float32 nothing of the number
    exact = nodes.cast(logits, TensorProto.DOUBLE)
    moved = nodes.add("Mul", exact, nodes.constant(scale.deviation, np.float64))
    value = nodes.add("Add", moved, nodes.constant(scale.mean, np.float64))
    return nodes.add("Reshape", nodes.cast(value, FLOAT), nodes.constant([-1]))


def expected(manifest: Manifest, variant: Variant, outputs: NDArray[np.float32]) -> Arrays:
    """The same in NumPy, of outputs float32 [batch, all columns] as `export.measurement.Runner` gives them."""
    if manifest.task == "embedding":
        lengths = np.sqrt(np.square(outputs).sum(axis=1, keepdims=True))
        return {"embedding": outputs / np.maximum(lengths, np.float32(SHORTEST))}
    if manifest.scale is not None:
        return {"value": (manifest.scale.mean + manifest.scale.deviation * outputs[:, 0].astype(np.float64))}
    width = len(manifest.labels) or 1
    scaled = outputs[:, :width].astype(np.float64) / manifest.temperature
    if manifest.task == "single_label_classification":
        powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        results: Arrays = {"probabilities": powers / powers.sum(axis=1, keepdims=True)}
        if variant.out_of_scope_threshold is not None:
            results[SCOPE_OUTPUT] = outputs[:, width]
        return results
    with np.errstate(over="ignore"):
        each = 1 / (1 + np.exp(-scaled))
    return {"relevance": each[:, 0]} if manifest.task == "pair_scoring" else {"probabilities": each}


def decided(manifest: Manifest, variant: Variant, results: Arrays) -> Arrays:
    """What follows from the numbers of a file by a rule: best labels, labels that apply, texts out of scope."""
    if manifest.thresholds is not None:
        return {"applies": results["probabilities"] >= np.array(manifest.thresholds, np.float32)}
    if manifest.task != "single_label_classification":
        return {}
    found: Arrays = {"label": results["probabilities"].argmax(axis=1)}
    if variant.out_of_scope_threshold is not None:
        found["out_of_scope"] = results[SCOPE_OUTPUT] > np.float32(variant.out_of_scope_threshold)
    return found
