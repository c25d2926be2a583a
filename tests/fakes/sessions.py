"""ONNX Runtime sessions that are not there: providers, nodes and answers as a test wants them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.inference.execution.devices import Provider

INPUTS = ("input_ids", "attention_mask", "token_type_ids")


class FakeRaw:
    """As `session.RawSession`; the output is the sum of a row's ids under its mask."""

    def __init__(self, providers: list[str], nodes: dict[str, list[str]]) -> None:
        self._providers = providers
        self._nodes = nodes
        self.feeds: list[dict[str, NDArray[np.int64]]] = []

    def get_providers(self) -> list[str]:
        return self._providers

    def get_inputs(self) -> list[Any]:
        return [SimpleNamespace(name=name) for name in INPUTS]

    def get_provider_graph_assignment_info(self) -> list[Any]:
        return [
            SimpleNamespace(ep_name=name, get_nodes=lambda kinds=kinds: [SimpleNamespace(op_type=k) for k in kinds])
            for name, kinds in self._nodes.items()
        ]

    def run(self, output_names: list[str], input_feed: dict[str, NDArray[np.int64]]) -> list[Any]:
        self.feeds.append(input_feed)
        return [(input_feed["input_ids"] * input_feed["attention_mask"]).sum(axis=1, keepdims=True).astype(np.float32)]


class FakeRuntime:
    """Opens such sessions, and remembers what it was asked for."""

    def __init__(self, have: tuple[str, ...] = ("CPUExecutionProvider",), nodes: dict[str, list[str]] | None = None):
        self._have = have
        self._nodes = nodes or {have[0]: ["MatMul", "Gather"]}
        self.asked: list[tuple[int, list[Provider]]] = []

    def __call__(self, file: Path, threads: int, providers: list[Provider]) -> FakeRaw:
        self.asked.append((threads, providers))
        kept = [name for name, _ in providers if name in self._have]
        return FakeRaw(kept, self._nodes)
