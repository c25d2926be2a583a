from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from itertools import count

import grpc
import pytest

from benchmarks.frames import UNAVAILABLE
from benchmarks.generator import Generator

PATH = "/benchmarks.Test/"


class Method(grpc.GenericRpcHandler):
    """Raw-bytes methods: Echo, Silent, Fail (an error for every third message), Large (3 MiB)."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        return grpc.unary_unary_rpc_method_handler(
            getattr(self, handler_call_details.method.rpartition("/")[2].lower())
        )

    async def echo(self, message: bytes, _context: object) -> bytes:
        await asyncio.sleep(0)
        return message

    async def silent(self, message: bytes, _context: object) -> bytes:
        await asyncio.sleep(3600)
        return message

    async def large(self, message: bytes, _context: object) -> bytes:
        return message * (3 * 1024 * 1024 // len(message))

    async def fail(self, message: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        if int(message) % 3 == 0:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "full")
        return message


class Server:
    """A grpc.aio server on an event loop of its own thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.port = self._wait(self._start())

    async def _start(self) -> int:
        limit = ("grpc.max_receive_message_length", 16 * 1024 * 1024)
        self._server = grpc.aio.server(options=[limit])
        self._server.add_generic_rpc_handlers((Method(),))
        port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()
        return port

    def _wait(self, work: object) -> int:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)  # type: ignore[arg-type]  # a coroutine

    def kill(self) -> None:
        """Ends all calls at once."""
        self._wait(self._server.stop(None))

    def close(self) -> None:
        """Stops server, loop and thread."""
        self.kill()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


def numbered(suffix: bytes = b"") -> Iterator[tuple[int, bytes]]:
    return ((number, b"%d" % number + suffix) for number in count())


@pytest.mark.parametrize("callers", [1, 5, 40])
def test_every_reply_belongs_to_its_request(server: Server, callers: int) -> None:
    with Generator(("127.0.0.1", server.port), PATH + "Echo", callers) as generator:
        window = generator.run(numbered(), 0.3)
    assert len(window.calls) >= callers
    assert all(call.status == 0 and call.message == b"%d" % call.item for call in window.calls)
    assert all(window.begin.at - 0.3 <= call.began <= call.ended <= window.end.at for call in window.calls)


def test_it_keeps_each_caller_to_one_call_at_a_time(server: Server) -> None:
    callers = 7
    with Generator(("127.0.0.1", server.port), PATH + "Echo", callers) as generator:
        calls = generator.run(numbered(), 0.3).calls
    changes = sorted([(call.began, 1) for call in calls] + [(call.ended, -1) for call in calls])
    under_way = most = 0
    for _, change in changes:
        under_way += change
        most = max(most, under_way)
    assert most == callers


def test_requests_beyond_the_flow_control_windows_arrive_whole(server: Server) -> None:
    suffix = bytes(range(256)) * 1_000
    with Generator(("127.0.0.1", server.port), PATH + "Echo", 20) as generator:
        window = generator.run(numbered(suffix), 0.5)
    assert len(window.calls) > 20
    assert all(call.message == b"%d" % call.item + suffix for call in window.calls)


def test_replies_beyond_the_receive_window_arrive_whole(server: Server) -> None:
    with Generator(("127.0.0.1", server.port), PATH + "Large", 3) as generator:
        call = generator.call(b"abcd")
    assert call.status == 0
    assert call.message == b"abcd" * (3 * 1024 * 256)


def test_error_statuses_are_counted_and_do_not_stop_the_load(server: Server) -> None:
    with Generator(("127.0.0.1", server.port), PATH + "Fail", 8) as generator:
        window = generator.run(numbered(), 0.3)
    assert {call.status for call in window.calls if call.item % 3 == 0} == {8}
    assert {call.status for call in window.calls if call.item % 3} == {0}
    assert window.completed == [call for call in window.calls if call.item % 3]


def test_a_window_can_follow_another_on_the_same_connections(server: Server) -> None:
    with Generator(("127.0.0.1", server.port), PATH + "Echo", 4) as generator:
        first, second = generator.run(numbered(), 0.1, ramp=0.1), generator.run(numbered(), 0.1)
    assert first.calls
    assert second.calls
    assert min(call.item for call in first.calls) > 0, "the ramp is not reported"
    assert min(call.item for call in second.calls) == 0


def test_a_server_that_goes_away_fails_the_calls_under_way(server: Server) -> None:
    killer = threading.Timer(0.3, server.kill)
    killer.start()
    with Generator(("127.0.0.1", server.port), PATH + "Echo", 4) as generator:
        window = generator.run(numbered(), 1.0)
    killer.join()
    failed = [call.status for call in window.calls if call.status]
    assert 1 <= len(failed) <= 4
    assert set(failed) <= {UNAVAILABLE, 1, 13}
    assert window.completed


def test_a_list_of_calls_is_made_to_its_end(server: Server) -> None:
    with Generator(("127.0.0.1", server.port), PATH + "Echo", 7) as generator:
        for size in (100, 3):
            calls = generator.run_all((number, b"%d" % number) for number in range(size))
            assert sorted(call.item for call in calls) == list(range(size))
            assert all(call.message == b"%d" % call.item for call in calls)


def test_cpu_time_of_the_server_is_read_at_both_ends(server: Server) -> None:
    readings = iter([1.0, 3.5])
    with Generator(("127.0.0.1", server.port), PATH + "Echo", 1, lambda: next(readings)) as generator:
        window = generator.run(numbered(), 0.05)
    assert (window.begin.server_cpu, window.end.server_cpu) == (1.0, 3.5)
    assert window.end.generator_cpu > window.begin.generator_cpu
