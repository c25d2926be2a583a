"""The server that is fuzzed: a real process with tiny models of every task, and the question whether it is well."""

from __future__ import annotations

import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc

from benchmarks.messages import PATH, answer_of, request
from benchmarks.server_process import ServerProcess, inference
from tests.fakes.tiny_bundle import (
    publish_tiny,
    publish_tiny_embedding,
    publish_tiny_pair_scoring,
    publish_tiny_tagging,
)

ANSWER_S = 10.0
"""Within so long every call must end, whatever it says."""
LOOK_S = 0.02
"""How long a broken client stays connected after its last byte."""
TEXT, LABEL = "the bank cut its rate", "business"
MODELS = ("tiny", "pairs", "vectors", "ranker", "tagger")


class Unwell(Exception):
    """The server died, hung, or no longer answers a proper call properly."""


class Target:
    """A running server and a channel to it."""

    def __init__(self, server: ServerProcess, channel: grpc.Channel) -> None:
        self.server = server
        self.channel = channel

    @property
    def address(self) -> str:
        """host:port."""
        return "{}:{}".format(*self.server.address)

    def check(self) -> None:
        """Raises Unwell unless a proper call is answered rightly and soon."""
        if not self.server.alive():
            raise Unwell("the server died")
        call = self.channel.unary_unary(PATH)
        try:
            reply: bytes = call(request("tiny", TEXT), timeout=ANSWER_S)
        except grpc.RpcError as error:
            raise Unwell(f"a proper call ended with {error.code().name}: {error.details()}") from None  # type: ignore[attr-defined]
        answer = answer_of(reply)
        if answer is None or answer[1].label != LABEL:
            raise Unwell(f"a proper call was answered {answer}")

    def unary(self, path: str, message: bytes) -> grpc.StatusCode:
        """How a call ends. Raises Unwell when it does not."""
        begun = time.monotonic()
        try:
            self.channel.unary_unary(path)(message, timeout=ANSWER_S)
        except grpc.RpcError as error:
            return self._ended(path, error, time.monotonic() - begun)
        return grpc.StatusCode.OK

    def stream(self, path: str, messages: list[bytes]) -> grpc.StatusCode:
        """How a stream ends; all answers are read. Raises Unwell when it does not end, or answers what was not asked."""
        begun = time.monotonic()
        try:
            answers = sum(1 for _ in self.channel.stream_stream(path)(iter(messages), timeout=ANSWER_S))
        except grpc.RpcError as error:
            return self._ended(path, error, time.monotonic() - begun)
        if answers != len(messages):
            raise Unwell(f"{path} gave {answers} answers to {len(messages)} requests")
        return grpc.StatusCode.OK

    def write(self, data: bytes) -> None:
        """Connects, writes, looks at what comes for a moment, goes away."""
        with socket.create_connection(self.server.address, timeout=ANSWER_S) as connected:
            connected.settimeout(LOOK_S)
            try:
                connected.sendall(data)
                while connected.recv(1 << 16):
                    pass
            except OSError:
                return  # closed by the server, or silent: both are its right

    @staticmethod
    def _ended(path: str, error: grpc.RpcError, seconds: float) -> grpc.StatusCode:
        code: grpc.StatusCode = error.code()  # type: ignore[attr-defined]
        # sooner it is the server's answer to a request that brought a deadline of its own
        if code is grpc.StatusCode.DEADLINE_EXCEEDED and seconds >= 0.9 * ANSWER_S:
            raise Unwell(f"{path} did not end within {ANSWER_S:.0f} s")
        return code


@contextmanager
def target(log: Path) -> Iterator[Target]:
    """A server of all tasks, on free ports."""
    with tempfile.TemporaryDirectory() as folder:
        registry = Path(folder)
        publish_tiny(registry, "tiny")
        publish_tiny(registry, "tiny", label="canary")
        publish_tiny(registry, "pairs", pair=True)
        publish_tiny_embedding(registry)
        publish_tiny_pair_scoring(registry)
        publish_tiny_tagging(registry)
        with inference(folder, "", log) as server, grpc.insecure_channel("{}:{}".format(*server.address)) as channel:
            begun = time.monotonic()
            found = Target(server, channel)
            found.check()
            assert time.monotonic() - begun < ANSWER_S
            yield found
