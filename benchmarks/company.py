"""Answers to texts alone beside answers to the same texts in company."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks import server_metrics
from benchmarks.generator import Call, Generator
from benchmarks.messages import PATH, Answer, answer_of, request, served
from benchmarks.server_process import ServerFailed, ServerProcess
from benchmarks.texts import Deck, Text


@dataclass(frozen=True, slots=True)
class Flips:
    """What company changed, for one variant."""

    variant: str
    texts: int
    answers: int
    """Answers in company."""
    batch_texts: float
    """Mean texts a batch in company: above 1, or there was none."""
    waste: float
    flipped: int
    """Texts with another label in any answer in company."""
    largest_change: float
    """Of the probability of the best label."""
    failed: int
    """Calls without a proper answer."""


def flips(server: ServerProcess, model: str, variant: str, texts: list[Text], callers: int, passes: int) -> Flips:
    """Sends every text alone, then `passes` times in shuffled company. ServerFailed when another variant answers."""
    messages = [request(model, text) for text in texts]
    alone: dict[int, Answer] = {}
    with Generator(server.address, PATH, 1) as generator:
        for number, message in enumerate(messages):
            call = generator.call(message)
            if call.status == 0 and served(call)[1] != variant:
                raise ServerFailed(f"the server answers with {served(call)[1]} instead of {variant}")
            if (answer := _answer(call)) is not None:
                alone[number] = answer
    before = server_metrics.read(server.metrics_port)
    calls = _company(server, messages, callers, passes)
    counted = server_metrics.read(server.metrics_port).since(before)
    flipped: set[int] = set()
    change, proper = 0.0, 0
    for call in calls:
        answer = _answer(call)
        if answer is None or call.item not in alone:
            continue
        proper += 1
        reference = alone[call.item]
        if answer.label != reference.label:
            flipped.add(call.item)
        else:
            change = max(change, abs(answer.probability - reference.probability))
    failed = len(texts) - len(alone) + len(calls) - proper
    return Flips(variant, len(texts), proper, counted.batch_size, counted.waste, len(flipped), change, failed)


def _company(server: ServerProcess, messages: list[bytes], callers: int, passes: int) -> list[Call]:
    """Every message `passes` times, in a new order each time, so many at once."""
    deck = Deck(len(messages)).deal()
    left = passes * len(messages)

    def requests() -> Iterator[tuple[int, bytes]]:
        for _ in range(left):
            number = next(deck)
            yield number, messages[number]

    with Generator(server.address, PATH, callers) as generator:
        return generator.run_all(requests())


def _answer(call: Call) -> Answer | None:
    found = answer_of(call.message) if call.status == 0 else None
    return found[1] if found else None
