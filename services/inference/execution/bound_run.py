"""Runs with inputs in buffers that live on the device, so that a batch costs one copy there and one back."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

SMALLEST = 256
"""Elements of the smallest buffer; the next ones are twice as large, so few serve every shape."""


class BoundRun:
    """Thread-safe: each thread has a binding and buffers of its own, and a batch is whole before its thread goes on."""

    def __init__(self, raw: Any, outputs: Sequence[str], on_gpu: bool, device_id: int) -> None:
        self._raw = raw
        self._outputs = outputs
        self._device = "cuda" if on_gpu else "cpu"
        self._device_id = device_id
        self._local = threading.local()

    def __call__(self, feed: dict[str, NDArray[np.int64]]) -> list[NDArray[np.float32]]:
        """The outputs of one batch, float32, on the host."""
        binding, buffers = self._mine()
        for name, array in feed.items():
            host, there = self._buffer(buffers, name, array.size)
            host[: array.size] = array.ravel()
            there.update_inplace(host)
            binding.bind_input(name, self._device, self._device_id, np.int64, array.shape, there.data_ptr())
        # bound anew each time, or ONNX Runtime would want the shape of the batch before
        for name in self._outputs:
            binding.bind_output(name, "cpu")
        self._raw.run_with_iobinding(binding)
        return [output.numpy() for output in binding.get_outputs()]

    def _mine(self) -> tuple[Any, dict[tuple[str, int], tuple[NDArray[np.int64], Any]]]:
        local = self._local
        if not hasattr(local, "binding"):
            local.binding, local.buffers = self._raw.io_binding(), {}
        return local.binding, local.buffers

    def _buffer(
        self, buffers: dict[tuple[str, int], tuple[NDArray[np.int64], Any]], name: str, size: int
    ) -> tuple[NDArray[np.int64], Any]:
        """An array on the host, and its like on the device, for at least `size` elements."""
        capacity = max(SMALLEST, 1 << (size - 1).bit_length())
        found = buffers.get((name, capacity))
        if found is None:
            host = np.zeros(capacity, np.int64)
            found = host, onnxruntime.OrtValue.ortvalue_from_numpy(host, self._device, self._device_id)
            buffers[name, capacity] = found
        return found
