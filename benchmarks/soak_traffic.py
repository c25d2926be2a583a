"""What a soak sends, and what it makes of the answers."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from benchmarks.expectations import Expectations
from benchmarks.frames import CANCELLED, DEADLINE_EXCEEDED, OK, RESOURCE_EXHAUSTED, request_headers
from benchmarks.malformed import Malformed
from benchmarks.messages import OPEN_PATH, answer_of, open_answer_of, open_request, request
from benchmarks.open_loop import EARLY_S, UNANSWERED, Outcome, Shot
from benchmarks.texts import Deck, Text
from benchmarks.volley import NAMES

DEADLINE_S = 3.0
PATIENCE_S = 30.0
"""An answer later than so long after its deadline counts as a hang."""
MALFORMED, OPEN, CANCELS, TINY = 0.08, 0.15, 0.05, 0.05
"""Shares of all calls: malformed; of the others: over the Open Inference Protocol, given up soon, of tiny deadlines."""


@dataclass(frozen=True, slots=True)
class Good:
    """A proper call: the number of its text, and whether it goes over the Open Inference Protocol."""

    number: int
    open: bool


class Traffic:
    """An endless stream of calls of all kinds."""

    def __init__(
        self, address: tuple[str, int], model: str, texts: Sequence[Text], malformed: Sequence[Malformed], seed: int = 7
    ) -> None:
        def headers(path: str) -> bytes:
            return request_headers(f"{address[0]}:{address[1]}", path)

        self._random = random.Random(seed)
        self._deck = Deck(len(texts))
        self._plain = [request(model, text) for text in texts]
        self._open = [open_request(model, text) for text in texts]
        self._open_headers = headers(OPEN_PATH)
        self._malformed = [(kind, headers(kind.path)) for kind in malformed]

    def shots(self) -> Iterator[Shot]:
        """The calls. Malformed ones come with all kinds in turn."""
        draw = self._random.random
        turn = 0
        for number in self._deck.deal():
            while draw() < MALFORMED:
                kind, headers = self._malformed[turn % len(self._malformed)]
                turn += 1
                yield Shot(kind, kind.message, DEADLINE_S, headers=headers)
            open_wire = draw() < OPEN
            message = self._open[number] if open_wire else self._plain[number]
            cancel = 0.2 * draw() ** 2 if draw() < CANCELS else None
            deadline = 0.0005 + 0.02 * draw() if draw() < TINY else DEADLINE_S
            yield Shot(Good(number, open_wire), message, deadline, cancel, self._open_headers if open_wire else None)


@dataclass(slots=True)
class Judge:
    """Hears of every call. `faults` are few examples in words; the counters count all of them."""

    expectations: Expectations
    right: int = 0
    wrong: int = 0
    hangs: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    unexpected: Counter[str] = field(default_factory=Counter)
    versions: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    awaited: int = 0
    """The version that the label was moved to last, until it has answered."""
    moved: float = 0.0
    followed: list[float] = field(default_factory=list)
    """Seconds from each move of the label to the first answer of its version."""

    def hear(self, outcome: Outcome) -> None:
        """Judges one call."""
        name = NAMES.get(outcome.status, str(outcome.status))
        self.statuses[name] += 1
        if outcome.status == UNANSWERED or outcome.seconds > outcome.shot.deadline_s + PATIENCE_S:
            self.hangs += 1
            self._fault(f"no answer to {outcome.shot.item} within {PATIENCE_S:.0f} s after its deadline")
        elif not self._allowed(outcome):
            what = outcome.shot.item.name if isinstance(outcome.shot.item, Malformed) else "a proper call"
            self.unexpected[f"{what}: {name}"] += 1
            self._fault(f"{what} ended with {name} after {outcome.seconds:.3f} s")
        elif outcome.status == OK and isinstance(outcome.shot.item, Good):
            self._read(outcome, outcome.shot.item)

    def _allowed(self, outcome: Outcome) -> bool:
        """Whether the status may be: right for the call, or the server is too busy, or the caller went away or was late."""
        status, shot = outcome.status, outcome.shot
        right = shot.item.statuses if isinstance(shot.item, Malformed) else (OK,)
        if status in right or status == RESOURCE_EXHAUSTED:
            return True
        if status == DEADLINE_EXCEEDED:
            return outcome.seconds >= shot.deadline_s - EARLY_S
        return status == CANCELLED and shot.cancel_s is not None and outcome.seconds >= shot.cancel_s

    def _read(self, outcome: Outcome, asked: Good) -> None:
        found = (open_answer_of if asked.open else answer_of)(outcome.message)
        if found is None or not self.expectations.right(found[0], asked.number, found[1].label):
            self.wrong += 1
            self._fault(f"text {asked.number} was answered {found}")
            return
        self.right += 1
        self.versions[found[0]] += 1
        if found[0] == self.awaited:
            self.followed.append(outcome.ended - self.moved)
            self.awaited = 0

    def _fault(self, what: str) -> None:
        if len(self.faults) < 20:
            self.faults.append(what)
