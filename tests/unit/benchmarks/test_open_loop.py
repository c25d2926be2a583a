from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count

import pytest

from benchmarks.frames import CANCELLED, DEADLINE_EXCEEDED, OK, RESOURCE_EXHAUSTED, UNAVAILABLE, request_headers
from benchmarks.open_loop import UNANSWERED, OpenLoop, Outcome, Shot
from tests.unit.benchmarks.test_load_generator import PATH, Server


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


def numbered(deadline_s: float = 5.0, **more: object) -> Iterator[Shot]:
    return (Shot(number, b"%d" % number, deadline_s, **more) for number in count(1))  # type: ignore[arg-type]


def fire(
    server: Server, method: str, shots: Iterator[Shot], rate: float, seconds: float, patience: float = 5.0
) -> list[Outcome]:
    heard: list[Outcome] = []
    with OpenLoop(("127.0.0.1", server.port), PATH + method, heard.append, connections=3) as generator:
        generator.run(shots, rate, seconds, patience=patience)
    return heard


def test_every_call_is_heard_of_once_with_its_own_answer(server: Server) -> None:
    heard = fire(server, "Echo", numbered(), 400, 0.5)
    assert sorted(each.shot.item for each in heard) == list(range(1, len(heard) + 1))
    assert all(each.status == OK and each.message == each.shot.message and each.good for each in heard)


def test_arrivals_are_the_same_however_slow_the_server_is(server: Server) -> None:
    quick = fire(server, "Echo", numbered(), 200, 1.0)
    slow = fire(server, "Silent", numbered(), 200, 1.0, patience=-4.9)

    def gaps(heard: list[Outcome]) -> list[float]:
        dues = sorted(each.due for each in heard)
        return [round(due - dues[0], 6) for due in dues]

    shared = min(len(quick), len(slow))
    assert abs(len(quick) - len(slow)) <= 1
    assert gaps(quick)[:shared] == gaps(slow)[:shared]


def test_a_call_without_an_answer_is_heard_of_as_unanswered(server: Server) -> None:
    heard = fire(server, "Silent", numbered(), 100, 0.2, patience=-4.5)
    assert heard
    assert {each.status for each in heard} == {UNANSWERED}


def test_latency_counts_from_when_a_call_was_due(server: Server) -> None:
    def late(shots: Iterator[Shot]) -> Iterator[Shot]:
        for shot in shots:
            if shot.item == 3:
                time.sleep(0.3)  # the generator itself is held up
            yield shot

    heard = fire(server, "Echo", late(numbered()), 100, 0.5)
    assert max(each.sent - each.due for each in heard) > 0.2
    assert max(each.seconds for each in heard) > 0.2
    assert len(heard) > 20, "what was due meanwhile is caught up on"


def test_a_deadline_ends_a_call_at_the_server(server: Server) -> None:
    heard = fire(server, "Silent", numbered(deadline_s=0.1), 50, 0.3)
    assert heard
    assert {each.status for each in heard} == {DEADLINE_EXCEEDED}
    assert not any(each.good for each in heard)


def test_a_caller_gives_up_when_it_said_it_would(server: Server) -> None:
    heard = fire(server, "Silent", numbered(cancel_s=0.05), 50, 0.3)
    assert {each.status for each in heard} == {CANCELLED}
    assert all(each.seconds >= 0.05 for each in heard)


def test_a_call_may_be_of_another_method(server: Server) -> None:
    headers = request_headers("127.0.0.1", PATH + "Fail")
    heard = fire(server, "Echo", numbered(headers=headers), 100, 0.3)
    assert {each.status for each in heard} == {OK, RESOURCE_EXHAUSTED}
    assert all((each.status == RESOURCE_EXHAUSTED) is (each.shot.item % 3 == 0) for each in heard)


def test_calls_on_a_broken_connection_are_unavailable_and_a_new_one_is_tried(server: Server) -> None:
    heard: list[Outcome] = []
    with OpenLoop(("127.0.0.1", server.port), PATH + "Silent", heard.append, connections=2) as generator:
        generator.run(numbered(), 50, 0.2, patience=-4.9)
        server.kill()
        with pytest.raises(OSError, match="refused"):
            generator.run(numbered(), 50, 1.0)
    assert {each.status for each in heard} <= {UNANSWERED, UNAVAILABLE, CANCELLED}
