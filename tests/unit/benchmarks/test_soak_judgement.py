from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from bertline.inference.v1 import inference_pb2 as pb
from google.rpc import error_details_pb2, status_pb2
from open_inference import grpc_service_pb2 as oip

from benchmarks.frames import literal
from benchmarks.generator import Mark
from benchmarks.malformed import Malformed, kinds
from benchmarks.messages import open_request, request, retry_after
from benchmarks.open_loop import UNANSWERED, Outcome, Shot
from benchmarks.soak_traffic import DEADLINE_S, Good, Judge, Traffic
from benchmarks.volley import volley
from benchmarks.watch import Memory, Repeated, Swaps, growth

MALFORMED = Malformed("nonsense", "/a.B/C", b"?", (3,))


class Table:
    """Version 1 answers "a" to everything, version 2 "b"."""

    versions = (1, 2)
    telling = 1

    def right(self, version: int, number: int, label: str) -> bool:
        return {1: "a", 2: "b"}.get(version) == label


@pytest.fixture
def judge() -> Judge:
    return Judge(Table())  # type: ignore[arg-type]  # a fake


def plain(version: int, label: str) -> bytes:
    result = pb.ClassifyResult(classification=pb.Classification(labels=[pb.LabelScore(label=label, probability=0.5)]))
    return pb.ClassifyResponse(results=[result], model=pb.ModelInfo(version=version)).SerializeToString()


def opened(version: int, label: str) -> bytes:
    reply = oip.ModelInferResponse(model_version=str(version))
    reply.outputs.add(name="probabilities", datatype="FP32", shape=[1, 2])
    reply.outputs.add(name="label", datatype="BYTES", shape=[1])
    reply.raw_output_contents.append(np.array([0.75, 0.25], "<f4").tobytes())
    reply.raw_output_contents.append(len(label.encode()).to_bytes(4, "little") + label.encode())
    return reply.SerializeToString()


def ended(item: Any, status: int, seconds: float = 0.01, message: bytes = b"", **shot: Any) -> Outcome:
    made = Shot(item, b"", shot.pop("deadline_s", DEADLINE_S), **shot)
    return Outcome(made, 100.0, 100.0, 100.0 + seconds, status, message, b"")


@pytest.mark.parametrize(("open_wire", "reply"), [(False, plain), (True, opened)])
def test_each_answer_is_held_against_the_version_that_gave_it(judge: Judge, open_wire: bool, reply: Any) -> None:
    asked = Good(0, open_wire)
    for message in (reply(1, "a"), reply(2, "b")):
        judge.hear(ended(asked, 0, message=message))
    assert (judge.right, judge.wrong, dict(judge.versions)) == (2, 0, {1: 1, 2: 1})
    for message in (reply(1, "b"), reply(3, "a"), b""):
        judge.hear(ended(asked, 0, message=message))
    assert judge.wrong == 3
    assert len(judge.faults) == 3


def test_refusals_late_calls_and_callers_who_left_are_no_faults(judge: Judge) -> None:
    proper = Good(0, False)
    judge.hear(ended(proper, 8))
    judge.hear(ended(proper, 4, seconds=3.0))
    judge.hear(ended(proper, 4, seconds=0.004, deadline_s=0.005))
    judge.hear(ended(proper, 1, seconds=0.2, cancel_s=0.2))
    judge.hear(ended(MALFORMED, 3))
    judge.hear(ended(MALFORMED, 8))
    assert not judge.faults
    assert judge.unexpected.total() == judge.hangs == judge.wrong == 0


def test_what_may_not_be_is_counted_by_what_was_asked(judge: Judge) -> None:
    proper = Good(0, False)
    judge.hear(ended(proper, 13))
    judge.hear(ended(proper, 1))
    judge.hear(ended(proper, 4, seconds=1.0))
    judge.hear(ended(MALFORMED, 0))
    judge.hear(ended(MALFORMED, 14))
    assert dict(judge.unexpected) == {
        "a proper call: INTERNAL": 1,
        "a proper call: CANCELLED": 1,
        "a proper call: DEADLINE_EXCEEDED": 1,
        "nonsense: OK": 1,
        "nonsense: UNAVAILABLE": 1,
    }


def test_silence_and_answers_long_after_the_deadline_are_hangs(judge: Judge) -> None:
    judge.hear(ended(Good(0, False), UNANSWERED, seconds=33.1))
    judge.hear(ended(Good(0, False), 4, seconds=DEADLINE_S + 31))
    assert judge.hangs == 2


def test_a_swap_is_followed_once_its_version_answers(judge: Judge) -> None:
    judge.awaited, judge.moved = 2, 99.0
    judge.hear(ended(Good(0, False), 0, message=plain(1, "a")))
    assert judge.followed == []
    for _ in range(2):
        judge.hear(ended(Good(0, False), 0, message=plain(2, "b")))
    assert judge.followed == [pytest.approx(1.01)]


def test_traffic_is_of_every_kind_and_names_what_it_asked() -> None:
    texts = ["one", "two", "three"]
    traffic = Traffic(("127.0.0.1", 1), "tiny", texts, kinds("tiny"))
    shots = [shot for shot, _ in zip(traffic.shots(), range(4000), strict=False)]
    asked = [shot.item for shot in shots]
    assert {each.name for each in asked if isinstance(each, Malformed)} == {each.name for each in kinds("tiny")}
    for shot in shots:
        if isinstance(shot.item, Good):
            made = open_request if shot.item.open else request
            assert shot.message == made("tiny", texts[shot.item.number])
            assert (shot.headers is not None) is shot.item.open
    assert {shot.cancel_s is None for shot in shots} == {True, False}
    assert {shot.deadline_s < 0.03 for shot in shots} == {True, False}


def test_goodput_counts_answers_within_the_window_and_latency_of_calls_due_in_it() -> None:
    window = (Mark(100.0, 1.0, 5.0, 0.0), Mark(110.0, 2.0, 20.0, 0.0))

    def outcome(due: float, seconds: float, status: int = 0, trailers: bytes = b"") -> Outcome:
        return Outcome(Shot(0, b"", 3.0), due, due + 0.001, due + seconds, status, b"", trailers)

    status = status_pb2.Status(code=8)
    info = error_details_pb2.RetryInfo()
    info.retry_delay.FromMilliseconds(1500)
    status.details.add().Pack(info)
    told = b"\x00" + literal(b"grpc-status-details-bin") + literal(b"\0" + status.SerializeToString())
    outcomes = [
        outcome(99.0, 1.5),  # due before, answered in the window
        *(outcome(101.0, 0.5) for _ in range(7)),
        outcome(105.0, 3.5),  # too late
        outcome(106.0, 3.0, status=4),
        outcome(109.0, 2.0),  # answered after the load has stopped
        outcome(107.0, 0.001, 8, told),
        outcome(107.0, 0.001, 8),
    ]
    found = volley(1.5, [window], outcomes)
    assert found.offered == 1.2
    assert found.goodput == 0.8
    assert (found.refused_share, found.with_retry_info, found.median_retry_s) == (2 / 12, 0.5, 1.5)
    assert found.late_share == 2 / 12
    assert (found.p50_ms, found.p99_ms) == (pytest.approx(500), pytest.approx(3500))
    assert (found.generator_cores, found.server_cores) == (0.1, 1.5)
    assert found.statuses == {"OK": 9, "DEADLINE_EXCEEDED": 1, "RESOURCE_EXHAUSTED": 2}
    assert retry_after(told) == 1.5


def test_memory_is_judged_by_whole_spans_after_the_warm_up() -> None:
    memory = Memory(lambda: 0)
    memory.samples = [(float(second), 900 if second < 40 else 100 + second // 40) for second in range(170)]
    assert memory.spans(40.0, 40.0) == [101, 102, 103]
    assert growth([100.0] * 6) == 0.0
    assert growth([100, 300, 100, 90, 120, 110, 200, 111, 110]) == pytest.approx(0.11)


def test_versions_take_turns() -> None:
    moved: list[int] = []
    told: list[int] = []
    swaps = Swaps(moved.append, [1, 2], told.append)
    for _ in range(3):
        swaps.swap()
    assert moved == told == [2, 1, 2]
    assert swaps.count == 3


def test_what_fails_beside_a_soak_fails_the_soak() -> None:
    def fail() -> None:
        raise OSError("no registry")

    watch = Repeated(0.001, fail)
    with pytest.raises(OSError, match="no registry"), watch:
        while watch._error is None:
            time.sleep(0.001)
