"""Bags of words in ONNX, one graph a task, with the inputs and the output that `export.manifest.Task` asks for.

Each answer follows from the words alone, so that a test can say what it must be:

classification    the label that most words of the text belong to
regression        tokens that are words of the first label, less those of the second, as a share of all
embedding         mean of the words' vectors; texts of one topic are near one another, unknown words count as zeros
pair scoring      twice the number of words that query and candidate share, less 3
tagging           each word has its label
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from export.manifest import SCOPE_OUTPUT
from tests.fakes.tiny_words import LABELS, SPECIAL, TAG_LABELS, TAGS, VOCABULARY, WORDS

STRENGTH = 12.0
WIDTH = 8
"""Elements of a vector."""

Array = NDArray[np.float32] | NDArray[np.int64]
Output = tuple[str, Sequence[int | str]]
"""Name and shape."""


def classification_graph(scope: bool = False) -> onnx.ModelProto:
    """Embeddings of tokens and segments, mean over the mask, a linear layer: logits [batch, labels].

    With `scope` also out_of_scope_score [batch, 1]: minus the largest share of the tokens that are words of one label.
    """
    size = len(LABELS)
    constants: dict[str, Array] = {
        "segments": np.array([[0.0] * size, [0.01] + [0.0] * (size - 1)], np.float32),
        "weight": STRENGTH * np.eye(size, dtype=np.float32),
        # without a word of any label the answer is still definite: the last label
        "bias": np.linspace(0.0, 0.2, size, dtype=np.float32),
    }
    nodes = [
        helper.make_node("Gather", ["tokens", "input_ids"], ["token"]),
        helper.make_node("Gather", ["segments", "token_type_ids"], ["segment"]),
        helper.make_node("Add", ["token", "segment"], ["hidden"]),
        *_mean("hidden"),
        helper.make_node("MatMul", ["mean", "weight"], ["linear"]),
        helper.make_node("Add", ["linear", "bias"], ["logits"]),
    ]
    outputs: list[Output] = [("logits", ["batch", size])]
    if scope:
        nodes += [
            helper.make_node("ReduceMax", ["mean"], ["most"], axes=[1], keepdims=1),
            helper.make_node("Neg", ["most"], [SCOPE_OUTPUT]),
        ]
        outputs.append((SCOPE_OUTPUT, ["batch", 1]))
    return _model(nodes, {"tokens": _topics(), **constants}, *outputs)


def regression_graph() -> onnx.ModelProto:
    """logits [batch, 1]: share of the tokens that are words of the first label, less that of the second."""
    table = _topics() @ np.array([[1.0], [-1.0], [0.0]], np.float32)
    nodes = [
        helper.make_node("Gather", ["tokens", "input_ids"], ["hidden"]),
        *_mean("hidden"),
        helper.make_node("Identity", ["mean"], ["logits"]),
    ]
    return _model(nodes, {"tokens": table}, ("logits", ["batch", 1]))


def embedding_graph() -> onnx.ModelProto:
    """embedding [batch, WIDTH]: the first elements say the topic, the others tell words apart."""
    random = np.random.default_rng(0)
    own = 0.3 * random.standard_normal((len(VOCABULARY), WIDTH - len(LABELS))).astype(np.float32)
    own[: len(SPECIAL)] = 0.0
    table = 3.0 * np.concatenate([_topics(), own], axis=1)
    nodes = [
        helper.make_node("Gather", ["tokens", "input_ids"], ["hidden"]),
        *_mean("hidden"),
        helper.make_node("Identity", ["mean"], ["embedding"]),
    ]
    return _model(nodes, {"tokens": table}, ("embedding", ["batch", WIDTH]))


def pair_graph() -> onnx.ModelProto:
    """logits [batch, 1]; the segments say which words are the query's."""
    table = np.eye(len(VOCABULARY), dtype=np.float32)
    table[: len(SPECIAL)] = 0.0
    nodes = [
        helper.make_node("Gather", ["tokens", "input_ids"], ["hidden"]),
        *_masked("hidden"),
        helper.make_node("Cast", ["token_type_ids"], ["types"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["types", "third"], ["second text"]),
        helper.make_node("Sub", ["one", "second text"], ["first text"]),
        helper.make_node("Mul", ["real", "first text"], ["of query"]),
        helper.make_node("Mul", ["real", "second text"], ["of candidate"]),
        helper.make_node("ReduceMax", ["of query"], ["query"], axes=[1], keepdims=0),
        helper.make_node("ReduceMax", ["of candidate"], ["candidate"], axes=[1], keepdims=0),
        helper.make_node("Mul", ["query", "candidate"], ["shared"]),
        helper.make_node("ReduceSum", ["shared", "second"], ["count"], keepdims=1),
        helper.make_node("Mul", ["count", "two"], ["doubled"]),
        helper.make_node("Sub", ["doubled", "three"], ["logits"]),
    ]
    numbers: dict[str, Array] = {
        name: np.array(value, np.float32) for name, value in (("one", 1.0), ("two", 2.0), ("three", 3.0))
    }
    return _model(nodes, {"tokens": table, **numbers}, ("logits", ["batch", 1]))


def tagging_graph() -> onnx.ModelProto:
    """logits [batch, sequence, labels]."""
    table = np.zeros((len(VOCABULARY), len(TAG_LABELS)), np.float32)
    table[:, 0] = STRENGTH / 2
    for label, words in TAGS.items():
        for word in words:
            table[VOCABULARY.index(word), TAG_LABELS.index(label)] = STRENGTH
    nodes = [
        helper.make_node("Gather", ["tokens", "input_ids"], ["hidden"]),
        *_masked("hidden"),
        helper.make_node("Identity", ["real"], ["logits"]),
    ]
    return _model(nodes, {"tokens": table}, ("logits", ["batch", "sequence", len(TAG_LABELS)]))


def _topics() -> NDArray[np.float32]:
    """[vocabulary, labels]: 1 where the word belongs to the label."""
    table = np.zeros((len(VOCABULARY), len(LABELS)), np.float32)
    for column, words in enumerate(WORDS.values()):
        table[[VOCABULARY.index(word) for word in words], column] = 1.0
    return table


def _masked(hidden: str) -> list[NodeProto]:
    """real: the rows of real tokens, zeros elsewhere; mask: float32 [batch, sequence]."""
    return [
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "third"], ["column"]),
        helper.make_node("Mul", [hidden, "column"], ["real"]),
    ]


def _mean(hidden: str) -> list[NodeProto]:
    """mean: over the real tokens, [batch, width]."""
    return [
        *_masked(hidden),
        helper.make_node("ReduceSum", ["real", "second"], ["sum"], keepdims=0),
        helper.make_node("ReduceSum", ["mask", "second"], ["count"], keepdims=1),
        helper.make_node("Div", ["sum", "count"], ["mean"]),
    ]


def _model(nodes: list[NodeProto], constants: dict[str, Array], *outputs: Output) -> onnx.ModelProto:
    axes: dict[str, Array] = {"second": np.array([1], np.int64), "third": np.array([2], np.int64)}
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"])
        for name in ("input_ids", "attention_mask", "token_type_ids")
    ]
    weights = [numpy_helper.from_array(array, key) for key, array in {**constants, **axes}.items()]
    told = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs]
    graph = helper.make_graph(nodes, "tiny", inputs, told, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
