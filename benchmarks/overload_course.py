"""The course of an overload measurement: capacity, then each load in its turn."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, cycle

from benchmarks.generator import Generator, Mark
from benchmarks.messages import PATH, PRIORITIES, request
from benchmarks.open_loop import OpenLoop, Outcome, Shot
from benchmarks.server_process import ServerProcess
from benchmarks.texts import Deck, Text
from benchmarks.volley import Volley, volley

RAMP_SECONDS = 3.0
"""Long enough for the queue to fill."""
CAPACITY_CALLERS = 64


class Course:
    """Measures one running server."""

    def __init__(
        self, model: str, texts: list[Text], server: ServerProcess, deadline_s: float, priorities: bool = False
    ) -> None:
        self._server = server
        self._deadline_s = deadline_s
        self._priorities = list(PRIORITIES) if priorities else ["normal"]
        self._requests = {
            priority: [request(model, text, priority=priority) for text in texts] for priority in self._priorities
        }
        self._deck = Deck(len(texts))
        self._seeds = count()
        self._windows: dict[float, list[tuple[Mark, Mark]]] = {}
        self._outcomes: dict[float, list[Outcome]] = {}
        self.capacities: list[float] = []

    @property
    def capacity(self) -> float:
        """Calls a second, as last measured."""
        return self.capacities[-1]

    def measure_capacity(self, seconds: float) -> None:
        """Answers a second with as many callers as keep every worker busy."""
        messages = self._requests[self._priorities[0]]
        with Generator(self._server.address, PATH, CAPACITY_CALLERS) as generator:
            window = generator.run(((number, messages[number]) for number in self._deck.deal()), seconds, 1.0)
        self.capacities.append(len(window.completed) / window.seconds)

    def run(self, load: float, seconds: float, ramp: float = RAMP_SECONDS) -> None:
        """One window at a multiple of the capacity."""
        outcomes = self._outcomes.setdefault(load, [])
        seed = next(self._seeds)
        with OpenLoop(self._server.address, PATH, outcomes.append, self._server.cpu_seconds, seed=seed) as generator:
            marks = generator.run(self._shots(), load * self.capacity, seconds, ramp)
        self._windows.setdefault(load, []).append(marks)

    def volleys(self) -> list[Volley]:
        """Figures of each load, and of each priority where there are several."""
        found = []
        for load, windows in self._windows.items():
            outcomes = self._outcomes[load]
            found.append(volley(load, windows, outcomes))
            if len(self._priorities) > 1:
                found += [
                    volley(load, windows, [each for each in outcomes if each.shot.item == turn], name)
                    for turn, name in enumerate(self._priorities)
                ]
        return found

    def _shots(self) -> Iterator[Shot]:
        """The item of a call is the number of its priority."""
        for number, (turn, priority) in zip(self._deck.deal(), cycle(enumerate(self._priorities)), strict=False):
            yield Shot(turn, self._requests[priority][number], self._deadline_s)
