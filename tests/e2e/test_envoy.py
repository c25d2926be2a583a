"""The Envoy configuration in deploy/, with a real Envoy where there is one."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from bertline.inference.v1 import inference_pb2 as pb
from bertline.inference.v1 import inference_pb2_grpc

from tests.fakes.server_process import ROOT, ServerProcess, server_process
from tests.fakes.tiny_bundle import publish_tiny

CONFIGURATION = ROOT / "deploy" / "envoy" / "envoy.yaml"
OPTIONS = ("--access-log", "--drain-linger-s", "3")
"""Envoy looks at the servers' health every second."""
ENVOY = shutil.which("envoy")
pytestmark = pytest.mark.skipif(ENVOY is None, reason="no envoy on the PATH: its configuration was not tried")


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[list[ServerProcess]]:
    publish_tiny(tmp_path / "registry")
    with (
        server_process(tmp_path / "registry", *OPTIONS) as first,
        server_process(tmp_path / "registry", *OPTIONS) as second,
    ):
        yield [first, second]


@pytest.fixture
def channel(tmp_path: Path, servers: list[ServerProcess]) -> Iterator[grpc.Channel]:
    """One connection to an Envoy before both servers."""
    text = CONFIGURATION.read_text(encoding="utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ports = {50050: port} | {50051 + number: server.event("serving")["port"] for number, server in enumerate(servers)}
    for meant, actual in ports.items():
        text = text.replace(f"port_value: {meant}", f"port_value: {actual}")
    path = tmp_path / "envoy.yaml"
    path.write_text(text, encoding="utf-8")
    assert ENVOY is not None
    command = [ENVOY, "-c", str(path), "--concurrency", "1", "--base-id", str(port), "--log-level", "error"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            grpc.channel_ready_future(channel).result(timeout=30)
            yield channel
    finally:
        process.terminate()
        process.wait(30)


def classify(channel: grpc.Channel, name: str) -> grpc.Call:
    """A call, which comes to its end."""
    request = pb.ClassifyRequest(inputs=[pb.TextInput(text="bank")])
    stub = inference_pb2_grpc.InferenceServiceStub(channel)
    # until its first health checks are through Envoy has no server to give calls to
    _, call = stub.Classify.with_call(request, timeout=20, metadata=(("x-correlation-id", name),), wait_for_ready=True)
    return call


def settled(channel: grpc.Channel) -> None:
    """Waits until Envoy has found a server that is well."""
    end = time.monotonic() + 30
    while True:
        try:
            classify(channel, "settling")
        except grpc.RpcError:
            assert time.monotonic() < end, "Envoy found no server in 30 s"
            time.sleep(0.1)
        else:
            return


def test_calls_of_one_connection_reach_every_server(channel: grpc.Channel, servers: list[ServerProcess]) -> None:
    settled(channel)
    for number in range(40):
        assert ("x-correlation-id", f"call-{number}") in classify(channel, f"call-{number}").trailing_metadata()
    for server in servers:
        server.event("call", lambda entry: entry["correlation_id"].startswith("call-"))


def test_streams_and_deadlines_pass(channel: grpc.Channel) -> None:
    settled(channel)
    stub = inference_pb2_grpc.InferenceServiceStub(channel)
    request = pb.ClassifyRequest(inputs=[pb.TextInput(text="bank")])
    messages = [pb.StreamClassifyRequest(id=str(number), request=request) for number in range(100)]
    answers = list(stub.StreamClassify(iter(messages), timeout=20))
    assert [answer.id for answer in answers] == [str(number) for number in range(100)]
    with pytest.raises(grpc.RpcError) as caught:
        stub.Classify(request, timeout=1e-4)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_no_call_fails_while_a_server_drains(channel: grpc.Channel, servers: list[ServerProcess]) -> None:
    settled(channel)
    failures: list[grpc.RpcError] = []
    stop = threading.Event()

    def caller() -> None:
        while not stop.is_set():
            try:
                classify(channel, "drain")
            except grpc.RpcError as error:
                failures.append(error)

    threads = [threading.Thread(target=caller) for _ in range(4)]
    for thread in threads:
        thread.start()
    servers[0].event("call")
    servers[0].process.send_signal(signal.SIGTERM)
    assert servers[0].ended() == 0
    for number in range(20):
        classify(channel, f"after-{number}")
    stop.set()
    for thread in threads:
        thread.join(30)
    assert not failures
    servers[1].event("call", lambda entry: entry["correlation_id"] == "after-19")
