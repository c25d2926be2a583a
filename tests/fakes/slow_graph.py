"""Makes a tiny graph as slow as a real model without changing its answers, so that texts queue up."""

from __future__ import annotations

import onnx
from onnx import NodeProto, TensorProto, helper

WIDTH = 512
HIDDEN = "hidden"


def slowed(graph: onnx.ModelProto, products: int, channels: int) -> onnx.ModelProto:
    """Each token costs `products` products with a matrix of WIDTH x WIDTH zeros, some 10 microseconds each.

    What comes out of them is added to the tokens' hidden state, `channels` wide. The matrix is made at load, so files
    stay small.
    """
    made = onnx.ModelProto()
    made.CopyFrom(graph)
    nodes = list(made.graph.node)
    at = next(position for position, node in enumerate(nodes) if HIDDEN in node.output) + 1
    for node in nodes[at:]:
        node.input[:] = ["worked" if name == HIDDEN else name for name in node.input]
    del made.graph.node[:]
    made.graph.node.extend([*nodes[:at], *_work(products, channels), *nodes[at:]])
    return made


def _work(products: int, channels: int) -> list[NodeProto]:
    shapes = {"widen": [channels, WIDTH], "square": [WIDTH, WIDTH], "narrow": [WIDTH, channels]}
    nodes = []
    for name, shape in shapes.items():
        size = helper.make_tensor("size", TensorProto.INT64, [2], shape)
        zero = helper.make_tensor("zero", TensorProto.FLOAT, [1], [0.0])
        nodes += [
            helper.make_node("Constant", [], [f"{name} shape"], value=size),
            helper.make_node("ConstantOfShape", [f"{name} shape"], [name], value=zero),
        ]
    chain = ["widen", *["square"] * products, "narrow"]
    states = [HIDDEN, *(f"work {step}" for step in range(len(chain)))]
    nodes += [
        helper.make_node("MatMul", [before, matrix], [after])
        for before, matrix, after in zip(states[:-1], chain, states[1:], strict=True)
    ]
    return [*nodes, helper.make_node("Add", [HIDDEN, states[-1]], ["worked"])]
