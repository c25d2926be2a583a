"""The course of a soak: two versions published aside, the server started, loaded, watched, judged."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.expectations import Expectations
from benchmarks.generator import Generator
from benchmarks.malformed import kinds
from benchmarks.messages import PATH, request
from benchmarks.open_loop import OpenLoop
from benchmarks.overload_course import Course
from benchmarks.registry_copies import LABEL, publish_copy, servable
from benchmarks.server_process import ServerFailed, ServerProcess, inference
from benchmarks.soak_traffic import DEADLINE_S, PATIENCE_S, Judge, Traffic
from benchmarks.texts import Text
from benchmarks.watch import Memory, Repeated, Swaps, growth
from export.bundle import Bundle
from export.registry import Registry

CAPACITY_SECONDS = 4.0
POLL_S = 1.0
MEMORY_GROWTH = 0.05
JUDGED_SPANS = 6
"""Memory is judged over at least so many spans of two swaps each, after both versions were loaded once."""
SPAN_S = 20.0


@dataclass(frozen=True, slots=True)
class Soaked:
    """What came of it. `verdict` says what is wrong; empty when nothing is."""

    verdict: list[str]
    capacity: float
    calls: int
    right: int
    wrong: int
    hangs: int
    statuses: dict[str, int]
    unexpected: dict[str, int]
    versions: dict[int, int]
    telling_texts: int
    swaps: int
    followed_s: list[float]
    memory: list[tuple[float, int]]
    memory_medians: list[float]
    memory_growth: float | None
    """Last third of the spans over the first, less 1; None when the soak was too short to judge."""
    faults: list[str]

    def lines(self) -> dict[str, str]:
        """The result in words."""
        slowest = f", slowest after {max(self.followed_s):.1f} s" if self.followed_s else ""
        first, last = self.memory[0][1] >> 20, self.memory[-1][1] >> 20
        grown = self.memory_growth
        judged = "too short to judge" if grown is None else f"last third {grown:+.1%} against the first"
        return {
            "calls": f"{self.calls}; {_counts(self.statuses)}",
            "answers": f"{self.right} right, {self.wrong} wrong ({self.telling_texts} texts tell the versions apart)",
            "hangs": str(self.hangs),
            "unexpected statuses": _counts(self.unexpected) or "none",
            "who answered": f"{_counts(self.versions)}; {self.swaps} swaps, {len(self.followed_s)} followed{slowest}",
            "memory": f"{first} MiB at first, {last} MiB at the end, {judged}",
        }


def soak(
    registry: str,
    model: str,
    texts: list[Text],
    seconds: float,
    load: float,
    swap_s: float,
    processes: int,
    out: Path,
    tell: Callable[[str], None],
) -> Soaked:
    """Runs the whole soak. Raises ServerFailed or ExportFailure."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        copies = Registry(folder)
        versions = publish_versions(registry, model, copies)
        tell(f"computing what {len(versions)} versions answer to {len(texts)} texts")
        judge = Judge(Expectations(versions, texts))
        environment = {"BERTLINE_REGISTRY_POLL_S": str(POLL_S)}
        server = stack.enter_context(inference(folder, model, out / "soak-server.log", processes, environment))
        tell("capacity")
        course = Course(model, texts, server, DEADLINE_S)
        course.measure_capacity(min(CAPACITY_SECONDS, seconds / 5))
        tell(f"{seconds:g} s at {load:g} times {course.capacity:.0f} calls/s")
        memory = Memory(server.memory_bytes)

        def told(version: int) -> None:
            judge.moved, judge.awaited = time.perf_counter(), version

        numbers = [bundle.manifest.version for bundle in versions]
        swaps = Swaps(lambda version: copies.set_label(model, LABEL, version), numbers, told)
        with ExitStack() as beside:
            memory.note()
            beside.enter_context(Repeated(1.0, memory.note))
            if swap_s:
                beside.enter_context(Repeated(swap_s, swaps.swap))
            traffic = Traffic(server.address, model, texts, kinds(model))
            generator = beside.enter_context(OpenLoop(server.address, PATH, judge.hear))
            try:
                generator.run(traffic.shots(), load * course.capacity, seconds, patience=PATIENCE_S)
            except OSError as error:
                raise ServerFailed(
                    f"the server went away ({error}); its output is in {out / 'soak-server.log'}"
                ) from None
        return _judged(judge, memory, swaps, swap_s, course.capacity, _answers(server, request(model, texts[0])))


def publish_versions(registry: str, model: str, copies: Registry) -> list[Bundle]:
    """Two versions in a registry of copies, of different variants where there are; the first has the label."""
    source = Registry(registry)
    bundle = source.open(model, source.resolve(model))
    names = servable(bundle)
    published = [publish_copy(bundle, [name], copies) for name in (names[0], names[-1])]
    copies.set_label(model, LABEL, published[0].manifest.version)
    return published


def _answers(server: ServerProcess, message: bytes) -> bool:
    """Whether the server still answers after all of it."""
    if not server.alive():
        return False
    with Generator(server.address, PATH, 1) as generator:
        return generator.call(message).status == 0


def _judged(judge: Judge, memory: Memory, swaps: Swaps, swap_s: float, capacity: float, answers: bool) -> Soaked:
    warm = span = 2 * swap_s or SPAN_S
    medians = memory.spans(warm, span)
    grown = growth(medians) if len(medians) >= JUDGED_SPANS else None
    # the last swap may have come too late to be seen
    missed = max(0, swaps.count - 1 - len(judge.followed))
    verdict = [
        f"{count} {what}"
        for count, what in (
            (judge.wrong, "wrong answers"),
            (judge.hangs, "hangs"),
            (judge.unexpected.total(), "unexpected statuses"),
            (missed, "swaps not followed"),
            (not judge.right, "soak without a right answer"),
            (not answers, "server that does not answer any more"),
        )
        if count
    ]
    if grown is not None and grown > MEMORY_GROWTH:
        verdict.append(f"memory grew by {grown:.1%}")
    return Soaked(
        verdict=verdict,
        capacity=capacity,
        calls=judge.statuses.total(),
        right=judge.right,
        wrong=judge.wrong,
        hangs=judge.hangs,
        statuses=dict(judge.statuses),
        unexpected=dict(judge.unexpected),
        versions=dict(judge.versions),
        telling_texts=judge.expectations.telling,
        swaps=swaps.count,
        followed_s=judge.followed,
        memory=memory.samples,
        memory_medians=medians,
        memory_growth=grown,
        faults=judge.faults,
    )


def _counts(counts: dict[str, int] | dict[int, int]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in counts.items())
