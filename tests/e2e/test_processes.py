"""Several processes behind one port: calls spread, a killed one comes back, metrics add up, all drain together."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from services.clients import CallFailed, InferenceClient, Unavailable
from tests.fakes.server_process import ServerProcess, server_process
from tests.fakes.tiny_bundle import publish_tiny

TOGETHER = ("--processes", "2", "--access-log")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("registry")
    publish_tiny(folder, "tiny")
    return folder


@pytest.fixture
def server(registry: Path) -> Iterator[ServerProcess]:
    with server_process(registry, *TOGETHER) as process:
        yield process


def call(address: str, correlation_id: str = "call") -> None:
    """One call over a connection of its own."""
    with InferenceClient(address) as client:
        assert client.classify(["bank"], correlation_id=correlation_id).model == "tiny"


def calls_until_both_answered(server: ServerProcess) -> int:
    """How many calls, each over a new connection, it took until every process had answered one."""
    for number in range(1, 200):
        call(server.address, f"call-{number}")
        server.event("call", lambda entry, wanted=f"call-{number}": entry["correlation_id"] == wanted)
        if {entry["process"] for entry in server.events("call")} == {0, 1}:
            return number
    raise AssertionError("200 connections went to one process")


def value(metrics: str, name: str, *labels: str) -> float:
    """A sample of a metrics page; 0 where there is none."""
    for line in metrics.splitlines():
        if re.match(rf"{name}(\{{|\s)", line) and all(label in line for label in labels):
            return float(line.rsplit(" ", 1)[1])
    return 0.0


def pid_of(server: ServerProcess, number: int) -> int:
    """Pid of the parent's child, by age."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text(encoding="ascii")
    pids = sorted(map(int, children.split()))
    return pids[number]


def test_connections_reach_every_process_and_their_metrics_add_up(server: ServerProcess) -> None:
    count = calls_until_both_answered(server)
    page = server.metrics()
    assert value(page, "bertline_inference_requests_total", 'code="OK"', 'rpc="Classify"') == count
    assert value(page, "bertline_inference_batch_texts_sum", 'model="tiny"') == count
    assert value(page, "bertline_inference_processes") == 2
    assert "pid=" not in page


def test_a_killed_process_comes_back_and_what_it_counted_stays(server: ServerProcess) -> None:
    count = calls_until_both_answered(server)
    os.kill(pid_of(server, 0), signal.SIGKILL)
    ended = server.event("process ended")
    assert ended["code"] == -signal.SIGKILL
    # the other one answers meanwhile; a connection that the kernel still gives to the dead one is refused and tried again
    call(server.address, "meanwhile")
    server.event("process serving", lambda entry: entry["process"] == ended["number"] and len(starts(server)) == 3)
    page = server.metrics()
    assert value(page, "bertline_inference_requests_total", 'code="OK"') == count + 1
    assert value(page, "bertline_inference_process_restarts_total") == 1
    more = calls_until_both_answered_again(server, ended["number"])
    assert value(server.metrics(), "bertline_inference_requests_total", 'code="OK"') == count + 1 + more


def starts(server: ServerProcess) -> list[dict[str, Any]]:
    """Every time that a process began to serve."""
    return server.events("process serving")


def calls_until_both_answered_again(server: ServerProcess, number: int) -> int:
    """How many calls it took until the process answered again."""
    for attempt in range(1, 200):
        name = f"again-{attempt}"
        call(server.address, name)
        if server.event("call", lambda entry, wanted=name: entry["correlation_id"] == wanted)["process"] == number:
            return attempt
    raise AssertionError("200 connections went past the new process")


def test_sigterm_drains_every_process(server: ServerProcess) -> None:
    calls_until_both_answered(server)
    server.process.send_signal(signal.SIGTERM)
    assert server.ended() == 0
    assert {entry.get("process") for entry in server.events("stopped")} == {None, 0, 1}
    assert not server.events("process ended")


def test_a_call_that_runs_is_answered_while_all_drain(server: ServerProcess) -> None:
    calls_until_both_answered(server)
    ends: list[CallFailed] = []

    def caller() -> None:
        with InferenceClient(server.address) as client:
            while True:
                try:
                    client.classify(["bank"] * 64, timeout_s=10.0)
                except CallFailed as error:
                    ends.append(error)
                    return

    threads = [threading.Thread(target=caller) for _ in range(4)]
    for thread in threads:
        thread.start()
    server.process.send_signal(signal.SIGTERM)
    assert server.ended() == 0
    for thread in threads:
        thread.join(30)
    # refused because the server went away; nobody was cut off, or waits for ever
    assert [type(end) for end in ends] == [Unavailable] * 4, ends


def test_nobody_else_gets_the_port(server: ServerProcess, registry: Path) -> None:
    address = server.address
    port = address.rpartition(":")[2]
    for options in ((), TOGETHER):
        with server_process(registry, "--port", port, *options) as stranger:
            assert stranger.ended() == 2
            assert f"cannot listen on {address}" in "".join(stranger.lines)
    with socket.socket() as plain, pytest.raises(OSError, match="in use"):
        plain.bind(("127.0.0.1", int(port)))


def test_a_server_that_has_one_process_gives_its_port_to_no_group(registry: Path) -> None:
    with (
        server_process(registry) as alone,
        server_process(registry, "--port", alone.address.rpartition(":")[2], *TOGETHER) as group,
    ):
        assert group.ended() == 2
        assert "cannot listen" in "".join(group.lines)


def test_health_and_reflection_work_in_each(server: ServerProcess) -> None:
    for _ in range(8):
        with grpc.insecure_channel(server.address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            check = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
            assert check.status == health_pb2.HealthCheckResponse.SERVING
            request = reflection_pb2.ServerReflectionRequest(list_services="")
            stub = reflection_pb2_grpc.ServerReflectionStub(channel)
            answer = next(iter(stub.ServerReflectionInfo(iter([request]), timeout=10)))
            names = {each.name for each in answer.list_services_response.service}
            assert "bertline.inference.v1.InferenceService" in names


def test_processes_end_when_their_parent_is_killed(server: ServerProcess) -> None:
    calls_until_both_answered(server)
    os.kill(server.process.pid, signal.SIGKILL)
    for number in (0, 1):
        drained = server.event("draining", lambda entry, wanted=number: entry.get("process") == wanted)
        assert drained["signal"] == "end of the parent"
        server.event("stopped", lambda entry, wanted=number: entry.get("process") == wanted)


def test_what_keeps_processes_from_starting_ends_the_server(tmp_path: Path) -> None:
    with server_process(tmp_path, *TOGETHER) as server:
        assert server.ended() == 2
        assert "holds no labelled model" in "".join(server.lines)
        assert not server.events("serving")


def test_metrics_folders_do_not_pile_up(registry: Path, tmp_path: Path) -> None:
    with server_process(registry, *TOGETHER, environment={"TMPDIR": str(tmp_path)}) as server:
        call(server.address)
        assert list(tmp_path.glob("bertline-metrics-*"))
        server.process.send_signal(signal.SIGINT)
        assert server.ended() == 0
    assert not list(tmp_path.glob("bertline-metrics-*"))
