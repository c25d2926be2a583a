"""What a worker does with a batch: run the graph, and make of its output one result a row, by the model's task."""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from typing import Any

from export.manifest import Manifest, Variant
from services.inference.execution.layout import Layout
from services.inference.execution.session import Session
from services.inference.prediction import Encoded
from services.inference.probabilities import OF_LABELS

Results = Callable[[Any, list[Encoded], float, int], Sequence[Any]]
"""Of the graph's output, the rows, the temperature and the number of labels: one result a row."""


class Computation:
    """Computes batches of one variant. Thread-safe."""

    def __init__(self, layout: Layout, manifest: Manifest, variant: Variant) -> None:
        self._wide = layout.wide
        self._shared = layout.narrow[0] if len(layout.narrow) == 1 else None
        self._free: queue.SimpleQueue[Session] = queue.SimpleQueue()
        for session in layout.narrow:
            self._free.put(session)
        self._temperature = manifest.temperature_of(variant)
        self._labels = len(manifest.labels)
        self._results = RESULTS[manifest.task]

    def __call__(self, rows: list[Encoded], wide: bool) -> Sequence[Any]:
        """One result a row."""
        session = self._wide if wide and self._wide is not None else self._shared
        outputs = session.run(rows) if session is not None else self._run_on_a_free_one(rows)
        return self._results(outputs, rows, self._temperature, self._labels)

    def _run_on_a_free_one(self, rows: list[Encoded]) -> Any:
        session = self._free.get()
        try:
            return session.run(rows)
        finally:
            self._free.put(session)


def _classified(task: str) -> Results:
    """The outputs, and calibrated probabilities of those that are logits, see `Row` of the task."""
    probabilities = OF_LABELS[task]

    def results(outputs: Any, rows: list[Encoded], temperature: float, labels: int) -> Sequence[Any]:
        logits = outputs if outputs.shape[1] == labels else outputs[:, :labels]
        return list(zip(outputs, probabilities(logits, temperature), strict=True))

    return results


def _whole(outputs: Any, rows: list[Encoded], temperature: float, labels: int) -> Sequence[Any]:
    """The row of the output: a vector float32 [width], the logit [1] of a pair, or the standardised number [1] of a text."""
    return list(outputs)


def _tokens(logits: Any, rows: list[Encoded], temperature: float, labels: int) -> Sequence[Any]:
    """Logits float32 [tokens, labels] of the row's real tokens."""
    return [logits[position, : len(row)] for position, row in enumerate(rows)]


RESULTS: dict[str, Results] = {
    **{task: _classified(task) for task in OF_LABELS},
    "regression": _whole,
    "embedding": _whole,
    "pair_scoring": _whole,
    "token_classification": _tokens,
}
