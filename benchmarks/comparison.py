"""The course of a comparison: load and limit in turns."""

from __future__ import annotations

from itertools import chain

from benchmarks.generator import Call, Generator, Window
from benchmarks.level import Level, level
from benchmarks.limit import Limit, Rate
from benchmarks.messages import PATH, answers, request, wrong
from benchmarks.server_process import ServerProcess
from benchmarks.texts import Deck, Text, grouped

LIMIT_SECONDS = 2.0
RAMP_SECONDS = 0.5
ROUNDS = 2
SAMPLE = 64


class Comparison:
    """Alternates short windows of load with measurements of the limit, so that noise of a shared machine shows as spread."""

    def __init__(
        self,
        model: str,
        texts: list[Text],
        texts_per_call: int,
        limit: Limit,
        server: ServerProcess,
        labels: list[str],
    ) -> None:
        self._texts = texts
        self._groups = grouped(len(texts), texts_per_call)
        self._requests = [request(model, *(texts[number] for number in group)) for group in self._groups]
        self._texts_per_call = texts_per_call
        self._limit = limit
        self._server = server
        self._labels = labels
        self._texts_deck = Deck(len(texts))
        self._calls_deck = Deck(len(self._groups))
        self._limits: list[Rate] = []
        self._count = 64
        self.sample: list[Call] = []

    def prepare(self) -> None:
        """Chooses the limit's layout and measures it a first time."""
        layout = self._limit.choose(self._draw)
        self._count = max(64, int(self._limit.grid[layout] * LIMIT_SECONDS))
        self._measure_limit()

    def level(self, callers: int, seconds: float) -> Level:
        """Measures one number of callers."""
        windows: list[Window] = []
        with Generator(self._server.address, PATH, callers, self._server.cpu_seconds) as generator:
            for _ in range(ROUNDS):
                requests = ((number, self._requests[number]) for number in self._calls_deck.deal())
                windows.append(generator.run(requests, seconds / ROUNDS, RAMP_SECONDS))
                self._measure_limit()
        calls = list(chain.from_iterable(window.completed for window in windows))
        self.sample += calls[:: max(1, len(calls) // SAMPLE)]
        wrong_answers = wrong(calls, self._labels, self._texts_per_call)
        return level(callers, self._texts_per_call, windows, self._limits[-ROUNDS - 1 :], wrong_answers)

    def agreement(self) -> float:
        """Share of the sampled answers whose label is the one that the model gives in process."""
        same = asked = 0
        for call in self.sample:
            group = self._groups[call.item]
            asked += len(group)
            for number, answer in zip(group, answers(call, len(group)) or (), strict=False):
                same += answer.label == self._labels[int(self._limit.logits(self._texts[number]).argmax())]
        return same / max(1, asked)

    def _measure_limit(self) -> None:
        self._limits.append(self._limit.measure(self._draw(self._count)))

    def _draw(self, count: int) -> list[Text]:
        return [self._texts[number] for number in self._texts_deck.hand(count)]
