"""The variants of a bundle in ONNX Runtime on this machine, to be timed and asked for their golden answers."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from export.failures import ExportFailure
from export.golden import Golden
from export.measurement import open_session
from export.rows import Feed, Row, feed

LOOK_S = 0.06
"""How long to watch what others do; the kernel counts in hundredths of a second."""
CUDA = "CUDAExecutionProvider"
Device = Literal["cpu", "cuda"]


class SessionBench:
    """As `rounds.Bench`. Texts are made of tokens of real ones, because their lookups are part of the time."""

    def __init__(
        self, paths: Mapping[str, Path], tokens: Sequence[int], pad: int, device: Device = "cpu", device_id: int = 0
    ) -> None:
        self.on_gpu = device == "cuda"
        self.cores = len(os.sched_getaffinity(0))
        self._pad = pad
        self._tokens = np.array(tokens, np.int64)
        self.broken: dict[str, str] = {}
        """Variants that ONNX Runtime cannot open here -> why; they cannot be run."""
        self._narrow: dict[str, onnxruntime.InferenceSession] = {}
        self._wide: dict[str, onnxruntime.InferenceSession] = {}
        for name, path in paths.items():
            try:
                self._narrow[name] = _on_gpu(path, device_id) if self.on_gpu else open_session(path)
                if not self.on_gpu and self.cores > 1:
                    self._wide[name] = open_session(path, self.cores)
            except ExportFailure:
                raise
            except Exception as error:  # onnxruntime raises a dozen unrelated types
                self.broken[name] = _first_line(error)
        self._names = {name: {node.name for node in session.get_inputs()} for name, session in self._narrow.items()}
        self._feeds: dict[tuple[int, ...], Feed] = {}

    def now(self) -> float:
        """Seconds."""
        return time.perf_counter()

    def narrow(self, variant: str, lengths: Sequence[int]) -> float:
        """One batch. The calling thread computes all of it, so that its processor time is all of its cost."""
        batch = self._feed(variant, tuple(lengths))
        clock = time.perf_counter if self.on_gpu else time.thread_time
        begun = clock()
        self._narrow[variant].run(None, batch)
        return clock() - begun

    def wide(self, variant: str, length: int) -> float:
        """One text."""
        batch = self._feed(variant, (length,))
        begun = time.perf_counter()
        self._wide[variant].run(None, batch)
        return time.perf_counter() - begun

    def used_elsewhere(self) -> float:
        """What the kernel says of the cores this process may use; 0 where it does not say."""
        before = _idle_s()
        time.sleep(LOOK_S)
        after = _idle_s()
        return min(1.0, max(0.0, 1.0 - (after - before) / (LOOK_S * self.cores))) if after else 0.0

    def fault(self, variant: str, golden: Golden, rows: Sequence[Row]) -> str | None:
        """Why a variant must not serve here: it cannot be opened or run, or gives other answers than where it was proven."""
        if variant in self.broken:
            return f"it cannot be opened here: {self.broken[variant]}"
        try:
            answers = [self._answer(variant, row) for row in rows]
        except Exception as error:
            return f"it fails on a golden row: {_first_line(error)}"
        found = golden.deviation(variant, answers)
        return f"its golden answers are wrong here: {found}" if found else None

    def _answer(self, variant: str, row: Row) -> NDArray[np.float32]:
        """The graph's outputs of one row, side by side, without the dimension of the batch."""
        outputs = self._narrow[variant].run(None, feed([row], self._names[variant], self._pad))
        return outputs[0][0] if len(outputs) == 1 else np.concatenate(outputs, axis=1)[0]  # type: ignore[no-any-return]

    def _feed(self, variant: str, lengths: tuple[int, ...]) -> Feed:
        if lengths not in self._feeds:
            rows = [Row(np.resize(np.roll(self._tokens, -7 * at), n).tolist(), [0] * n) for at, n in enumerate(lengths)]
            self._feeds[lengths] = feed(rows, {"input_ids", "attention_mask", "token_type_ids"}, self._pad)
        return {name: self._feeds[lengths][name] for name in self._names[variant]}


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]


def _on_gpu(path: Path, device_id: int) -> onnxruntime.InferenceSession:
    """A session of which nothing falls back to the CPU unnoticed. Raises ExportFailure."""
    onnxruntime.preload_dlls()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    providers = [(CUDA, {"device_id": str(device_id), "use_tf32": "0"}), "CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(str(path), options, providers=providers)
    if session.get_providers()[0] != CUDA:
        raise ExportFailure("CUDA was asked for and is not there: see the GPU's driver and the CUDA libraries")
    return session


def _idle_s() -> float:
    """Seconds that this process's cores had nothing to do, since the machine was started; 0 if unknown."""
    stat = Path("/proc/stat")
    if not stat.is_file():
        return 0.0
    mine = {f"cpu{core}" for core in os.sched_getaffinity(0)}
    fields = (line.split() for line in stat.read_text(encoding="ascii").splitlines())
    # idle and waiting for disks
    ticks = sum(int(field[4]) + int(field[5]) for field in fields if field and field[0] in mine)
    return ticks / os.sysconf("SC_CLK_TCK")
