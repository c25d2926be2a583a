"""A list of ONNX nodes that grows from the inputs to the outputs: each call adds one and returns its output's name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

CONTRIBUTED = "com.microsoft"
"""The domain of ONNX Runtime's own operators, which every full build of it has."""
LEARNED = "ai.onnx.ml"
"""ONNX's domain of classical machine learning; dictionaries live there."""
LEARNED_VERSION = 2


class Nodes:
    """Nodes and constants of one graph, or of the body of a loop in it; names begin with `prefix`."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, value: int | float | bool | Sequence[Any] | NDArray[Any], dtype: Any = np.int64) -> str:
        """A constant tensor, int64 unless said."""
        name = f"{self._prefix}/constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def add(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """A node with one output."""
        name = f"{self._prefix}/{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name=name, domain=domain, **attributes))
        return name

    def cast(self, value: str, to: int = TensorProto.INT64) -> str:
        """The value in another type; int64 unless said."""
        return self.add("Cast", value, to=to)

    def size(self, value: str) -> str:
        """How many elements it has, int64 scalar."""
        return self.add("Size", value)

    def range(self, count: str) -> str:
        """0 .. count - 1, int64; `count` is a scalar."""
        return self.add("Range", self.constant(0), count, self.constant(1))

    def filled(self, count: str, value: int | bool, dtype: Any = np.int64) -> str:
        """[count] of one value; `count` is a scalar."""
        return self.add("ConstantOfShape", self.vector(count), value=numpy_helper.from_array(np.array([value], dtype)))

    def alike(self, other: str, value: int) -> str:
        """int64 of the other's shape, of one value."""
        shape = self.add("Shape", other)
        return self.add("ConstantOfShape", shape, value=numpy_helper.from_array(np.array([value], np.int64)))

    def part(self, value: str, begin: int, end: int | None = None) -> str:
        """Elements [begin, end) of a vector, or up to its end; counted from the end where negative."""
        last = np.iinfo(np.int64).max if end is None else end
        return self.add("Slice", value, *(self.constant([each]) for each in (begin, last, 0)))

    def joined(self, *values: str) -> str:
        """Vectors behind one another."""
        return self.add("Concat", *values, axis=0)

    def vector(self, value: str) -> str:
        """All its elements in one row; of a scalar a vector of one."""
        return self.add("Reshape", value, self.constant([-1]))

    def kept(self, value: str, where: str) -> str:
        """Those elements of a vector where the condition holds."""
        return self.add("Compress", value, where, axis=0)

    def looked_up(
        self, value: str, keys: NDArray[np.int64] | list[str], values: NDArray[np.int64], default: int
    ) -> str:
        """A dictionary's value of each element, int64; `default` for what it does not hold."""
        kind = "keys_strings" if isinstance(keys, list) else "keys_int64s"
        return self.add(
            "LabelEncoder",
            value,
            domain=LEARNED,
            default_int64=default,
            values_int64s=values.tolist(),
            **{kind: keys if isinstance(keys, list) else keys.tolist()},
        )

    def loop(self, start: dict[str, str], body: Nodes, after: dict[str, str], goes_on: str) -> list[str]:
        """Runs the body as long as its `goes_on`, a bool scalar, holds, and at least once.

        `start`: of each name that the body reads its first value, an int64 vector; `after`: of each what the body makes of it,
        perhaps of another length. Returns the names of the last values, in the order of `start`.
        """
        prefix = body._prefix
        counter = helper.make_tensor_value_info(f"{prefix}/counter", TensorProto.INT64, [])
        going = helper.make_tensor_value_info(f"{prefix}/going", TensorProto.BOOL, [])
        inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, [None]) for name in start]
        ends = [helper.make_tensor_value_info(after[name], TensorProto.INT64, [None]) for name in start]
        condition = helper.make_tensor_value_info(goes_on, TensorProto.BOOL, [])
        graph = helper.make_graph(
            body.nodes, prefix, [counter, going, *inputs], [condition, *ends], initializer=body.constants
        )
        results = [f"{name}/last" for name in start]
        self.nodes.append(
            helper.make_node(
                "Loop",
                ["", self.constant(True, np.bool_), *start.values()],
                results,
                name=f"{prefix}/Loop",
                body=graph,
            )
        )
        return results
