"""Runs a variant over rows: logits and speed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from export.rows import Row, feed
from training.outputs import arranged

SPEED_BATCH = 8
SPEED_ROWS = 512


def open_session(path: Path, threads: int = 1) -> onnxruntime.InferenceSession:
    """A session on the CPU whose threads do not spin."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


class Runner:
    """Computes logits of rows in a given grouping."""

    def __init__(self, path: Path, pad: int, threads: int = 1) -> None:
        self._session = open_session(path, threads)
        self._pad = pad
        self.names = {node.name for node in self._session.get_inputs()}
        self._outputs = [node.name for node in self._session.get_outputs()]

    def logits(self, rows: Sequence[Row], order: Sequence[int], batch: int) -> NDArray[np.float32]:
        """The outputs, as of `run`, of rows or words, in the rows' order, computed in batches taken along `order`."""
        return arranged(self._run(rows, order, batch), [row.reads for row in rows])

    def _run(
        self, rows: Sequence[Row], order: Sequence[int], batch: int
    ) -> Iterator[tuple[list[int], NDArray[np.float32]]]:
        for start in range(0, len(order), batch):
            positions = list(order[start : start + batch])
            yield positions, self.run(feed([rows[p] for p in positions], self.names, self._pad))

    def run(self, inputs: dict[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        """The graph's output float32 [batch, ...] for one prepared batch; columns of a second one stand behind its own."""
        known = {name: value for name, value in inputs.items() if name in self.names}
        results: list[NDArray[np.float32]] = self._session.run(self._outputs, known)
        return results[0] if len(results) == 1 else np.concatenate(results, axis=1)

    def texts_per_second(self, rows: Sequence[Row]) -> float:
        """Speed on sorted batches of 8, tokenization not included."""
        sample = sorted(rows[:SPEED_ROWS], key=lambda row: len(row.ids))
        order = range(len(sample))
        self.logits(sample[:SPEED_BATCH], range(min(SPEED_BATCH, len(sample))), SPEED_BATCH)
        begun = time.perf_counter()
        self.logits(sample, order, SPEED_BATCH)
        return len(sample) / (time.perf_counter() - begun)
