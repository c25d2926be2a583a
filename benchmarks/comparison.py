"""The course of a comparison: load and limit in turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import chain

from benchmarks.generator import Call, Generator, Window
from benchmarks.level import Level, level
from benchmarks.limit import Limit, Rate, over
from benchmarks.lone import TURN, Lone, lone
from benchmarks.messages import PATH, answers, request, wrong
from benchmarks.server_metrics import Counters
from benchmarks.server_process import ServerProcess
from benchmarks.texts import Deck, Text, grouped

HAND_SECONDS = 2.0
"""The limit is measured over hands of texts that take about so long; it sorts each of them."""
RAMP_SECONDS = 0.5
WARM_CALLERS = 32
SAMPLE = 64


class Comparison:
    """Alternates windows of load with measurements of the limit, so that noise of a shared machine shows as spread."""

    def __init__(
        self,
        model: str,
        texts: list[Text],
        texts_per_call: int,
        limit: Limit,
        server: ServerProcess,
        labels: list[str],
        counters: Callable[[], Counters] | None = None,
    ) -> None:
        self._texts = texts
        self._groups = grouped(len(texts), texts_per_call)
        self._requests = [request(model, *(texts[number] for number in group)) for group in self._groups]
        self._texts_per_call = texts_per_call
        self._limit = limit
        self._server = server
        self._labels = labels
        self._counters = counters
        self._texts_deck = Deck(len(texts))
        self._calls_deck = Deck(len(self._groups))
        self._limits: list[Rate] = []
        self._count = 64
        self.sample: list[Call] = []

    def prepare(self, seconds: float) -> None:
        """Chooses the limit's layout, measures it a first time for so long, and warms the server."""
        layout = self._limit.choose(self._draw, min(1.0, seconds / 5))
        self._count = max(64, int(self._limit.grid[layout] * HAND_SECONDS))
        self._measure_limit(seconds)
        with Generator(self._server.address, PATH, WARM_CALLERS) as generator:
            generator.run(self._deal(), min(seconds, HAND_SECONDS))

    def level(self, callers: int, seconds: float, rounds: int) -> Level:
        """Measures one number of callers: `rounds` windows, and the limit after each, for `seconds`."""
        windows: list[Window] = []
        counted: Counters | None = None
        with Generator(self._server.address, PATH, callers, self._server.cpu_seconds) as generator:
            for _ in range(rounds):
                before = self._counters() if self._counters else None
                windows.append(generator.run(self._deal(), seconds, RAMP_SECONDS))
                if self._counters and before:
                    after = self._counters().since(before)
                    counted = after.plus(counted) if counted else after
                self._measure_limit(seconds)
        calls = list(chain.from_iterable(window.completed for window in windows))
        self.sample += calls[:: max(1, len(calls) // SAMPLE)]
        wrong_answers = wrong(calls, self._labels, self._texts_per_call)
        return level(callers, self._texts_per_call, windows, self._limits[-rounds - 1 :], wrong_answers, counted)

    def lone(self, seconds: float) -> Lone:
        """One caller and the bare session in turns; for calls of one text."""
        order = self._texts_deck.hand(len(self._texts))
        single = {group[0]: message for group, message in zip(self._groups, self._requests, strict=True)}
        until = time.monotonic() + seconds
        with Generator(self._server.address, PATH, 1) as generator:
            return lone(
                TURN,
                order,
                lambda number: self._limit.bare(self._texts[number]),
                lambda number: generator.call(single[number]),
                lambda: time.monotonic() >= until,
            )

    def agreement(self) -> float:
        """Share of the sampled answers whose label is the one that the model gives in process."""
        same = asked = 0
        for call in self.sample:
            group = self._groups[call.item]
            asked += len(group)
            for number, answer in zip(group, answers(call, len(group)) or (), strict=False):
                same += answer.label == self._labels[int(self._limit.logits(self._texts[number]).argmax())]
        return same / max(1, asked)

    def _deal(self) -> Iterator[tuple[int, bytes]]:
        return ((number, self._requests[number]) for number in self._calls_deck.deal())

    def _measure_limit(self, seconds: float) -> None:
        hands = max(1, round(seconds / HAND_SECONDS))
        self._limits.append(over([self._limit.measure(self._draw(self._count)) for _ in range(hands)]))

    def _draw(self, count: int) -> list[Text]:
        return [self._texts[number] for number in self._texts_deck.hand(count)]
