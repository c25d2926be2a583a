"""The in-process limit: what ONNX Runtime alone makes of the same model file, texts and cores.

Nothing is left out that a server must do to the text (tokenization, padding) and everything is left out that a server
adds. It knows all texts beforehand, so it sorts them by length and wastes no padding: a bound that a server answering
live callers can approach, not pass.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.host import busy_seconds
from benchmarks.texts import Text

BATCH_SIZES = (4, 8, 16)


@dataclass(frozen=True, slots=True)
class Layout:
    """How the cores are used: `sessions` of `threads` each, and the texts in a batch."""

    sessions: int
    threads: int
    batch: int

    def __str__(self) -> str:
        return f"{self.sessions} x {self.threads} threads, batches of {self.batch}"


@dataclass(frozen=True, slots=True)
class Rate:
    """One measurement: texts a second and CPU seconds a text of this process."""

    texts_per_second: float
    cpu_seconds: float
    neighbours: float
    """Cores that other processes used meanwhile."""


@dataclass(frozen=True, slots=True)
class Model:
    """The files that the limit needs from a bundle."""

    graph: Path
    tokenizer: Path
    max_length: int
    pad_token_id: int


def over(rates: Sequence[Rate]) -> Rate:
    """Measurements over equally many texts as one."""
    count = len(rates)
    return Rate(
        count / sum(1 / rate.texts_per_second for rate in rates),
        sum(rate.cpu_seconds for rate in rates) / count,
        sum(rate.neighbours for rate in rates) / count,
    )


class Limit:
    """Measures one model on this machine's cores. Holds the sessions of every layout tried until `choose` settled on one."""

    def __init__(self, model: Model, cores: int | None = None) -> None:
        from tokenizers import Tokenizer

        self._model = model
        self._tokenizer = Tokenizer.from_file(str(model.tokenizer))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(model.max_length)
        self._sessions: dict[tuple[int, int], list[Any]] = {}
        self.cores = cores or len(os.sched_getaffinity(0))
        self.layout = Layout(self.cores, 1, 8)
        self.grid: dict[Layout, float] = {}

    def choose(self, draw: Callable[[int], Sequence[Text]], seconds: float = 1.0) -> Layout:
        """Tries the grid twice, keeps the fastest layout and the sessions of that one. `draw(n)` yields n texts."""
        shapes = dict.fromkeys([(self.cores, 1), (1, self.cores)])
        self._rate(draw(64), self.layout)
        count = max(64, int(self._rate(draw(64), self.layout).texts_per_second * seconds))
        for _ in range(2):
            for sessions, threads in shapes:
                for batch in BATCH_SIZES:
                    layout = Layout(sessions, threads, batch)
                    rate = self._rate(draw(count), layout).texts_per_second
                    self.grid[layout] = max(self.grid.get(layout, 0.0), rate)
        self.layout = max(self.grid, key=self.grid.__getitem__)
        kept = (self.layout.sessions, self.layout.threads)
        self._sessions = {kept: self._sessions[kept]}
        return self.layout

    def measure(self, texts: Sequence[Text]) -> Rate:
        """The rate over these texts with the chosen layout."""
        return self._rate(texts, self.layout)

    def logits(self, text: Text) -> NDArray[np.float32]:
        """The model's answer to one text alone, float32 [labels]."""
        return self._alone(self._opened(self.layout)[0], text)

    def bare(self, text: Text) -> NDArray[np.float32]:
        """The same from a session that spreads each run over all cores: the least that a lone caller must wait."""
        return self._alone(self._opened(Layout(1, self.cores, 1))[0], text)

    def _alone(self, session: Any, text: Text) -> NDArray[np.float32]:
        encoding = self._tokenizer.encode(text) if isinstance(text, str) else self._tokenizer.encode(*text)
        logits: NDArray[np.float32] = self._run(session, [encoding])[0]
        return logits

    def _rate(self, texts: Sequence[Text], layout: Layout) -> Rate:
        sessions = self._opened(layout)
        busy, cpu, start = busy_seconds(), time.process_time(), time.perf_counter()
        encodings = sorted(self._tokenizer.encode_batch(list(texts)), key=len, reverse=True)
        batches = iter([encodings[at : at + layout.batch] for at in range(0, len(encodings), layout.batch)])
        turn = threading.Lock()
        with ThreadPoolExecutor(layout.sessions) as pool:
            for work in [pool.submit(self._work, session, batches, turn) for session in sessions]:
                work.result()
        seconds, own = time.perf_counter() - start, time.process_time() - cpu
        neighbours = max(0.0, busy_seconds() - busy - own) / seconds
        return Rate(len(texts) / seconds, own / len(texts), neighbours)

    def _work(self, session: Any, batches: Iterator[list[Any]], turn: threading.Lock) -> None:
        while True:
            with turn:
                batch = next(batches, None)
            if batch is None:
                return
            self._run(session, batch)

    def _run(self, session: Any, batch: list[Any]) -> NDArray[np.float32]:
        from export.rows import Row, feed

        rows = [Row(encoding.ids, encoding.type_ids) for encoding in batch]
        names = {entry.name for entry in session.get_inputs()}
        logits: NDArray[np.float32] = session.run(["logits"], feed(rows, names, self._model.pad_token_id))[0]
        return logits

    def _opened(self, layout: Layout) -> list[Any]:
        shape = (layout.sessions, layout.threads)
        if shape not in self._sessions:
            from export.measurement import open_session

            self._sessions[shape] = [
                open_session(self._model.graph, threads=layout.threads) for _ in range(layout.sessions)
            ]
        return self._sessions[shape]
