"""A campaign: batches of examples, one method or kind of writing after the other, and after each the question whether
the server is well."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import grpc
import hypothesis
from google.protobuf.message import Message
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from open_inference import grpc_service_pb2 as oip

from tests.fuzz.cases import Case, cases
from tests.fuzz.frames import writings
from tests.fuzz.messages import requests
from tests.fuzz.target import Target, Unwell

EXAMPLES = 60
OURS = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
"""Codes that say that the server broke."""
UNLOAD = "RepositoryModelUnload"


class Broke(Exception):
    """The server answered as if it were broken."""


@dataclass(slots=True)
class Campaign:
    """`findings` are in words; what was sent lies in files beside the log."""

    target: Target
    out: Path
    examples: int = EXAMPLES
    findings: list[str] = field(default_factory=list)
    codes: dict[str, Counter[str]] = field(default_factory=dict)
    _last: bytes = b""
    _unwell: str = ""
    _seeds: Any = field(default_factory=count)

    def batches(self) -> list[tuple[str, Callable[[], None]]]:
        """Name and work of one round: every method, garbage for every method, writings."""
        found: list[tuple[str, Callable[[], None]]] = []
        for case in cases():
            found.append((case.path, lambda case=case: self.method(case)))  # type: ignore[misc]  # bound now
            found.append((f"bytes to {case.path}", lambda case=case: self.garbage(case)))  # type: ignore[misc]
            if len(found) % 6 == 0:
                found.append(("socket", self.sockets))
        return found

    def method(self, case: Case) -> None:
        """Messages for one method."""
        single = requests(case.proper, case.request)
        strategy = st.lists(single, max_size=6) if case.streaming else single.map(lambda message: [message])
        self._batch(case.path, strategy, lambda messages: self._send(case, messages))
        if UNLOAD in case.path:
            load = oip.RepositoryModelLoadRequest(model_name="tagger").SerializeToString()
            self.target.unary(case.path.replace("Unload", "Load"), load)

    def garbage(self, case: Case) -> None:
        """Bytes that may or may not be a message."""

        def act(data: bytes) -> None:
            self._last = data
            if UNLOAD not in case.path:
                self._judge(case, [data])

        self._batch(f"bytes to {case.path}", st.binary(max_size=120), act, self.examples // 4)

    def sockets(self) -> None:
        """Bytes and frames written into sockets."""

        def act(data: bytes) -> None:
            self._last = data
            self.target.write(data)

        self._batch("socket", writings(), act, self.examples // 2)

    def _send(self, case: Case, messages: list[Message]) -> None:
        sent = [self._serialized(message) for message in messages]
        self._last = b"\n".join(sent)
        self._judge(case, sent)

    def _judge(self, case: Case, sent: list[bytes]) -> None:
        code = self._call(case, sent)
        self._count(case.path, code)
        if code in OURS:
            raise Broke(f"{case.path} ended with {code.name}")

    def _call(self, case: Case, sent: list[bytes]) -> grpc.StatusCode:
        return self.target.stream(case.path, sent) if case.streaming else self.target.unary(case.path, sent[0])

    @staticmethod
    def _serialized(message: Message) -> bytes:
        """The model that checks rely on stays loaded."""
        if isinstance(message, oip.RepositoryModelUnloadRequest) and message.model_name == "tiny":
            message.model_name = "tagger"
        return message.SerializeToString()

    def _count(self, path: str, code: grpc.StatusCode) -> None:
        self.codes.setdefault(path, Counter())[code.name] += 1

    def _batch(
        self, name: str, strategy: st.SearchStrategy[Any], act: Callable[[Any], None], examples: int = 0
    ) -> None:
        """Runs examples and checks the server. What is found is noted with the last, smallest example."""
        self._unwell = ""

        @hypothesis.seed(next(self._seeds))
        @hypothesis.settings(
            max_examples=examples or self.examples,
            database=None,
            deadline=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
        )
        @hypothesis.given(strategy)
        def run(example: Any) -> None:
            if self._unwell:
                return  # a hung server would make each attempt to shrink the example as slow
            try:
                act(example)
            except Unwell as error:
                self._unwell = str(error)
                self._note(name, self._unwell)

        try:
            run()
        except Exception as error:  # Broke, or hypothesis saying that it happens only sometimes
            self._note(name, f"{type(error).__name__}: {error}")
        self.target.check()

    def _note(self, name: str, what: str) -> None:
        file = self.out / f"finding-{len(self.findings) + 1}.bin"
        file.write_bytes(self._last)
        self.findings.append(f"{name}: {what} (sent: {file})")
