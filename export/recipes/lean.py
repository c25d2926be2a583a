"""Makes cheap what stands around the integer products of a statically quantized, fused graph.

Its answers stay as they are, but for the order of float32 sums:

- A product of two dequantized tensors becomes ONNX Runtime's MatMulIntegerToFloat, which adds the bias that follows it on the
  way out. The runtime makes the same operator of such a pair when it loads a graph, but leaves the bias to others.
- SkipLayerNormalization becomes a sum and a LayerNormalization. On a CPU its kernel takes five times as long as these two (ONNX
  Runtime 1.31), and the runtime would fuse an Add and a LayerNormalization again, but no Sum.
- BiasGelu, whose bias went into the product, becomes Gelu.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import onnx
from onnx import NodeProto, helper

MICROSOFT = "com.microsoft"
BIAS_AT = {"Add": 1, "BiasGelu": 1, "SkipLayerNormalization": 4}
"""Operators that may add the bias of a product, and where among their inputs it stands."""


def make_lean(path: Path) -> None:
    """Rewrites the graph in place."""
    model = onnx.load(str(path))
    graph = model.graph
    with_integer_products(graph)
    nodes = [made for node in graph.node for made in _plainer(node)]
    del graph.node[:]
    graph.node.extend(nodes)
    _remove_unread(graph)
    if all(opset.domain != MICROSOFT for opset in model.opset_import):
        model.opset_import.append(helper.make_opsetid(MICROSOFT, 1))
    onnx.save(model, str(path))


def with_integer_products(graph: onnx.GraphProto) -> None:
    """Turns each MatMul of two dequantized tensors into one operator, and takes its bias into it."""
    made = {output: node for node in graph.node for output in node.output}
    readers: defaultdict[str, list[NodeProto]] = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            readers[name].append(node)
    constants = {each.name: len(each.dims) for each in graph.initializer}
    for position, node in enumerate(graph.node):
        pair = [made.get(name) for name in node.input]
        if node.op_type != "MatMul" or not all(each and each.op_type == "DequantizeLinear" for each in pair):
            continue
        values, scales, zeros = zip(*(each.input for each in pair if each), strict=True)
        inputs = [*values, *scales, *zeros]
        output, (reader, *others) = node.output[0], readers[node.output[0]]
        bias = None if others else _bias(reader, output, constants)
        if bias is not None:
            inputs.append(reader.input[bias])
            reader.input[bias] = ""
        product = helper.make_node("MatMulIntegerToFloat", inputs, [output], node.name, domain=MICROSOFT)
        graph.node[position].CopyFrom(product)


def _bias(reader: NodeProto, output: str, constants: dict[str, int]) -> int | None:
    """Where among the reader's inputs the vector stands that it adds to `output` before all else; None: nowhere."""
    at = BIAS_AT.get(reader.op_type)
    if at is None:
        return None
    if reader.op_type == "Add":
        at = 1 - list(reader.input).index(output)
    elif reader.input[0] != output:
        return None
    return at if len(reader.input) > at and constants.get(reader.input[at]) == 1 else None


def _plainer(node: NodeProto) -> list[NodeProto]:
    """What stands for an operator: itself, unless its bias is gone or its kernel is slow."""
    output = node.output[0]
    if node.op_type == "Add" and "" in node.input:
        return [helper.make_node("Identity", [name for name in node.input if name], [output], node.name)]
    if node.op_type == "BiasGelu" and not node.input[1]:
        return [helper.make_node("Gelu", [node.input[0]], [output], node.name, domain=MICROSOFT)]
    if node.op_type != "SkipLayerNormalization" or len([name for name in node.output if name]) > 1:
        return [node]
    value, skipped, scale, shift, *bias = node.input
    epsilon = next(each.f for each in node.attribute if each.name == "epsilon")
    added = f"{output}_sum"
    return [
        helper.make_node("Sum", [value, skipped, *filter(None, bias)], [added], f"{node.name}/sum"),
        helper.make_node(
            "LayerNormalization", [added, scale, shift], [output], f"{node.name}/norm", axis=-1, epsilon=epsilon
        ),
    ]


def _remove_unread(graph: onnx.GraphProto) -> None:
    """Nodes, such as those that dequantized weights, and constants that nothing reads any more."""
    while True:
        read = {name for node in graph.node for name in node.input} | {output.name for output in graph.output}
        kept = [node for node in graph.node if any(name in read for name in node.output)]
        if len(kept) == len(graph.node):
            break
        del graph.node[:]
        graph.node.extend(kept)
    constants = [each for each in graph.initializer if each.name in read]
    del graph.initializer[:]
    graph.initializer.extend(constants)
