"""Training rows as what fixes scales and shows overflows: batches of equal length, so that no padding is among the values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime import GraphOptimizationLevel, InferenceSession, SessionOptions
from onnxruntime.quantization import CalibrationDataReader

from export.rows import Feed, Row, feed

BATCH = 8


def batches(rows: Sequence[Row], names: set[str], pad: int) -> list[Feed]:
    """Feeds of the inputs in `names`, int64 [at most 8, length], each of rows of one length."""
    by_length: defaultdict[int, list[Row]] = defaultdict(list)
    for row in rows:
        by_length[len(row.ids)].append(row)
    return [
        feed(alike[start : start + BATCH], names, pad)
        for _, alike in sorted(by_length.items())
        for start in range(0, len(alike), BATCH)
    ]


class CalibrationRows(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
    """Feeds prepared batches to the calibrator.

    Histograms want arrays of one shape at a time: with a stride of one batch the calibrator takes them one after another.
    """

    STRIDE = 1

    def __init__(self, feeds: Sequence[Feed]) -> None:
        self._feeds = feeds
        self._left: Iterator[Feed] = iter(feeds)

    def __len__(self) -> int:
        """Batches."""
        return len(self._feeds)

    def set_range(self, start_index: int, end_index: int) -> None:
        """Goes on with these batches."""
        self._left = iter(self._feeds[start_index:end_index])

    def get_next(self) -> Feed | None:
        """The next batch, None at the end."""
        return next(self._left, None)


def observed(
    graph: onnx.ModelProto, tensors: Iterable[str], feeds: Sequence[Feed], aside: Path
) -> Iterator[dict[str, NDArray[np.generic]]]:
    """Values of the tensors, of one batch after another; the graph runs as it is, without further fusing.

    `aside` is where it may be written for that.
    """
    shown = onnx.ModelProto()
    shown.CopyFrom(graph)
    names = list(dict.fromkeys(tensors))
    already = {output.name for output in shown.graph.output}
    # the runtime knows the types
    shown.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in already)
    onnx.save(shown, aside)
    options = SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.graph_optimization_level = GraphOptimizationLevel.ORT_DISABLE_ALL
    session = InferenceSession(str(aside), options, providers=["CPUExecutionProvider"])
    for batch in feeds:
        yield dict(zip(names, session.run(names, batch), strict=True))
    aside.unlink()
