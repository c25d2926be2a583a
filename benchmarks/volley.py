"""What became of the calls of one open-loop window."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.figures import percentile
from benchmarks.frames import OK, RESOURCE_EXHAUSTED
from benchmarks.generator import Mark
from benchmarks.messages import retry_after
from benchmarks.open_loop import UNANSWERED, Outcome

NAMES = {
    UNANSWERED: "no answer",
    0: "OK",
    1: "CANCELLED",
    2: "UNKNOWN",
    3: "INVALID_ARGUMENT",
    4: "DEADLINE_EXCEEDED",
    5: "NOT_FOUND",
    8: "RESOURCE_EXHAUSTED",
    9: "FAILED_PRECONDITION",
    12: "UNIMPLEMENTED",
    13: "INTERNAL",
    14: "UNAVAILABLE",
}


@dataclass(frozen=True, slots=True)
class Volley:
    """Figures of one offered load, of all its calls or of those of one priority. Latencies count from when a call was due."""

    load: float
    """Offered rate, as a multiple of the capacity."""
    priority: str
    offered: float
    """Calls a second that were due."""
    goodput: float
    """Answers a second that came within their deadline."""
    refused_share: float
    with_retry_info: float
    """Share of the refusals that say when to come back."""
    median_retry_s: float
    late_share: float
    """Share of the calls that were neither refused nor answered in time."""
    p50_ms: float
    p99_ms: float
    """Of admitted calls."""
    lag_p99_ms: float
    """How late the generator itself was."""
    generator_cores: float
    server_cores: float
    statuses: dict[str, int]


def volley(
    load: float,
    windows: Sequence[tuple[Mark, Mark]],
    outcomes: Sequence[Outcome],
    priority: str = "all",
) -> Volley:
    """Sums up windows of the same load. Latencies are of calls due in a window, goodput of answers that came in one:
    what is answered after the load has stopped does not count for it."""
    seconds = sum(end.at - begin.at for begin, end in windows)
    due = [each for each in outcomes if any(begin.at <= each.due < end.at for begin, end in windows)]
    refused = [each for each in due if each.status == RESOURCE_EXHAUSTED]
    delays = sorted(delay for each in refused if (delay := retry_after(each.trailers)) is not None)
    latencies = sorted(each.seconds * 1e3 for each in due if each.status == OK)
    good = sum(each.good and any(begin.at <= each.ended < end.at for begin, end in windows) for each in outcomes)
    late = sum(not each.good and each.status != RESOURCE_EXHAUSTED for each in due)
    return Volley(
        load=load,
        priority=priority,
        offered=len(due) / seconds,
        goodput=good / seconds,
        refused_share=len(refused) / max(1, len(due)),
        with_retry_info=len(delays) / max(1, len(refused)),
        median_retry_s=percentile(delays, 0.5),
        late_share=late / max(1, len(due)),
        p50_ms=percentile(latencies, 0.50),
        p99_ms=percentile(latencies, 0.99),
        lag_p99_ms=percentile(sorted((each.sent - each.due) * 1e3 for each in due), 0.99),
        generator_cores=sum(end.generator_cpu - begin.generator_cpu for begin, end in windows) / seconds,
        server_cores=sum(end.server_cpu - begin.server_cpu for begin, end in windows) / seconds,
        statuses={NAMES.get(code, str(code)): count for code, count in sorted(Counter(e.status for e in due).items())},
    )
