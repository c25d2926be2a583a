"""Fairness, starvation, priorities, expiry, coalescing and overload, with a clock that tests move by hand."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.inference.queries import Priority
from services.inference.scheduling.batch_selection import Limits
from services.inference.scheduling.lane import Lane
from services.inference.scheduling.work import Computed
from services.platform.failures import DeadlineExceeded, Draining, InferenceFailed, Overloaded
from tests.fakes.computation import encoded
from tests.fakes.stepped import Steps, settled

LIMITS = Limits(batch_tokens=64, batch_texts=4, queue_tokens=10_000)
ONE_BY_ONE = replace(LIMITS, batch_texts=1)


def send(
    lane: Lane, number: int, length: int = 4, deadline: float | None = None, priority: Priority = Priority.NORMAL
) -> asyncio.Task[Computed]:
    return asyncio.create_task(lane.submit([encoded(number, length)], deadline, priority))


async def test_two_models_get_equal_worker_time_however_many_texts_wait_for_each() -> None:
    steps = Steps()
    busy, _ = steps.lane(LIMITS)
    quiet, _ = steps.lane(LIMITS)
    crowd = [send(busy, n) for n in range(80)]
    await settled()
    await steps.step()
    few = [send(quiet, 1000 + n) for n in range(8)]
    await settled()
    order = [(await steps.step())[0] >= 1000 for _ in range(6)]
    assert order.count(True) == 2  # eight texts are two batches: done within a few turns, not after the crowd
    assert all(task.done() for task in few)
    assert not all(task.done() for task in crowd)
    for task in crowd:
        task.cancel()


async def test_a_slow_models_batches_count_by_the_time_they_take() -> None:
    steps = Steps()
    slow, _ = steps.lane(ONE_BY_ONE)
    fast, _ = steps.lane(ONE_BY_ONE)
    tasks = [send(slow, n) for n in range(30)] + [send(fast, 100 + n) for n in range(60)]
    await settled()
    seconds = {"slow": 0.0, "fast": 0.0}
    for _ in range(44):
        kind = "slow" if steps.running()[0] < 100 else "fast"
        took = 0.03 if kind == "slow" else 0.01
        await steps.step(took)
        seconds[kind] += took
    assert seconds["slow"] == pytest.approx(seconds["fast"], rel=0.15)
    for task in tasks:
        task.cancel()


async def test_a_model_that_was_idle_saves_up_no_turns() -> None:
    steps = Steps()
    steady, _ = steps.lane(ONE_BY_ONE)
    late, _ = steps.lane(ONE_BY_ONE)
    tasks = [send(steady, n) for n in range(60)]
    for _ in range(30):
        await steps.step()
    tasks += [send(late, 100 + n) for n in range(20)]
    await settled()
    turns = [(await steps.step())[0] >= 100 for _ in range(10)]
    assert 4 <= turns.count(True) <= 6
    for task in tasks:
        task.cancel()


async def test_the_oldest_text_is_in_the_next_batch_whatever_its_length() -> None:
    steps = Steps()
    lane, _ = steps.lane(replace(LIMITS, batch_tokens=64))
    tasks = [send(lane, 0)]
    await settled()
    tasks.append(send(lane, 1, length=40))
    await settled()
    for wave in range(5):  # short texts keep coming, each batch could be filled with them
        tasks += [send(lane, 10 * (wave + 1) + n) for n in range(8)]
    await settled()
    await steps.step()
    assert 1 in steps.running()
    for task in tasks:
        task.cancel()


async def test_high_priority_overtakes_and_low_priority_is_not_starved() -> None:
    steps = Steps()
    lane, _ = steps.lane(ONE_BY_ONE)
    tasks = [send(lane, 0)]
    await settled()
    tasks += [send(lane, 1, priority=Priority.LOW), send(lane, 2), send(lane, 3, priority=Priority.HIGH)]
    await settled()
    assert await steps.step() == [0]
    assert await steps.step() == [3]
    assert await steps.step() == [2]
    assert steps.running() == [1]
    # a low text that has waited six seconds comes before a high one that has just arrived
    waits = send(lane, 10, priority=Priority.LOW)
    await settled()
    steps.now += 6.0
    tasks += [waits, send(lane, 11, priority=Priority.HIGH)]
    await settled()
    await steps.step()
    assert steps.running() == [10]
    for task in tasks:
        task.cancel()


async def test_an_expired_text_leaves_before_compute_and_its_neighbour_is_computed() -> None:
    steps = Steps()
    lane, observer = steps.lane(LIMITS)
    first = send(lane, 0)
    await settled()
    late, kept = send(lane, 1, deadline=steps.now + 0.5), send(lane, 2, deadline=steps.now + 5.0)
    await settled()
    await steps.step(seconds=1.0)
    with pytest.raises(DeadlineExceeded):
        await late
    await steps.step()
    assert (await kept).rows == [(2, 4)]
    assert (await first).rows == [(0, 4)]
    assert steps.computed == [[0], [2]]
    assert observer.drops == [(1, "expired")]
    assert lane.queued_tokens == 0


async def test_equal_texts_in_flight_are_computed_once_for_everybody() -> None:
    steps = Steps()
    lane, observer = steps.lane(LIMITS)
    running = [send(lane, 7), send(lane, 7)]
    await settled()
    joined = [send(lane, 7) for _ in range(3)]  # while it is computed
    waiting = [send(lane, 8) for _ in range(4)]  # while it waits
    await settled()
    assert lane.queued_texts == 1
    await steps.step()
    await steps.step()
    assert [task.result().rows for task in running + joined] == [[(7, 4)]] * 5
    assert [task.result().rows for task in waiting] == [[(8, 4)]] * 4
    assert steps.computed == [[7], [8]]
    assert observer.joined == 7


async def test_nothing_is_kept_of_texts_whose_callers_went_away() -> None:
    steps = Steps()
    lane, _ = steps.lane(LIMITS)
    running = send(lane, 0)
    await settled()
    gone, late = send(lane, 1), send(lane, 2, deadline=steps.now + 0.1)
    await settled()
    gone.cancel()
    await steps.step(1.0)
    assert late.done()
    assert not lane._flight
    await running


async def test_a_text_that_two_wait_for_stays_when_one_of_them_leaves() -> None:
    steps = Steps()
    lane, _ = steps.lane(LIMITS)
    first = send(lane, 0)
    await settled()
    leaves, stays = send(lane, 1), send(lane, 1)
    await settled()
    leaves.cancel()
    await settled()
    assert lane.queued_texts == 1
    await steps.step()
    await steps.step()
    assert stays.result().rows == [(1, 4)]
    await first


async def test_a_text_that_somebody_urgent_waits_for_too_becomes_urgent() -> None:
    steps = Steps()
    lane, _ = steps.lane(ONE_BY_ONE)
    tasks = [send(lane, 0)]
    await settled()
    tasks += [send(lane, 1), send(lane, 2, priority=Priority.LOW), send(lane, 2, priority=Priority.HIGH)]
    await settled()
    assert lane.queued_texts == 2
    await steps.step()
    assert steps.running() == [2]
    await steps.step()
    assert tasks[2].result().rows == tasks[3].result().rows == [(2, 4)]
    await steps.step()
    await asyncio.gather(*tasks)
    assert steps.computed == [[0], [2], [1]]


async def test_a_failed_batch_is_tried_text_by_text() -> None:
    steps = Steps()
    lane, _ = steps.lane(LIMITS)
    tasks = [send(lane, n) for n in range(3)]
    await settled()
    steps.workers[0].finish(0.01, RuntimeError("bad batch"))
    await settled()
    assert steps.running() == [0]
    await steps.step()
    steps.workers[0].finish(0.01, RuntimeError("bad text"))
    await settled()
    await steps.step()
    with pytest.raises(InferenceFailed):
        await tasks[1]
    assert (await tasks[0]).rows == [(0, 4)]
    assert (await tasks[2]).rows == [(2, 4)]


async def test_what_waits_is_bounded_by_the_time_it_will_take() -> None:
    steps = Steps()
    limits = Limits(batch_tokens=16, batch_texts=4, queue_tokens=1_000_000, queue_s=1.0)
    lane, _ = steps.lane(limits)
    warm = [send(lane, n) for n in range(4)]
    await settled()
    await steps.step(0.04)  # 16 tokens in 0.04 s: 400 tokens/s
    await asyncio.gather(*warm)
    running = send(lane, 0)
    await settled()
    tasks, refusal = [], None
    for number in range(1, 200):
        task = send(lane, number)
        await settled()
        if task.done():
            refusal = task.exception()
            break
        tasks.append(task)
    assert isinstance(refusal, Overloaded)
    assert 80 <= len(tasks) <= 95  # nine tenths of 400 tokens, for normal calls
    assert 0.5 <= refusal.retry_after_s <= 1.5
    with pytest.raises(Overloaded):
        await send(lane, 500, priority=Priority.LOW)
    urgent = send(lane, 501, priority=Priority.HIGH)  # the last tenth is theirs
    await settled()
    assert not urgent.done()
    for task in [*tasks, running, urgent]:
        task.cancel()


async def test_those_who_share_the_workers_share_the_bound() -> None:
    steps = Steps()
    limits = Limits(batch_tokens=4, batch_texts=1, queue_tokens=1_000_000, queue_s=1.0)
    one, _ = steps.lane(limits)
    other, _ = steps.lane(limits)
    tasks = [send(one, 0)]
    await steps.step(0.01)  # 400 tokens/s
    tasks += [send(one, 1), send(other, 2), send(other, 3)]
    await settled()
    accepted = 0
    for number in range(10, 110):
        task = send(one, number)
        await settled()
        accepted += not task.done()
        tasks.append(task)
    assert 35 <= accepted <= 50  # half of what one model alone could have waiting
    await asyncio.gather(*(cancelled(task) for task in tasks))


async def cancelled(task: asyncio.Task[Computed]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_closed_lane_refuses_and_its_neighbour_goes_on() -> None:
    steps = Steps()
    closing, _ = steps.lane(LIMITS)
    other, _ = steps.lane(LIMITS)
    running = send(closing, 0)
    await settled()
    waiting = send(closing, 1)
    goes_on = send(other, 2)
    await settled()
    closed = asyncio.create_task(closing.close())
    await settled()
    with pytest.raises(Draining):
        await waiting
    assert not closed.done()
    await steps.step()
    assert (await running).rows == [(0, 4)]
    await closed
    await steps.step()
    assert (await goes_on).rows == [(2, 4)]
    with pytest.raises(Draining):
        await closing.submit([encoded(3)], None)


@settings(max_examples=30, deadline=None)
@given(
    events=st.lists(
        st.tuples(
            st.sampled_from(["send", "cancel", "step", "fail", "time"]),
            st.integers(0, 6),
            st.integers(1, 12),
            st.sampled_from(list(Priority)),
        ),
        max_size=60,
    )
)
def test_the_books_balance_after_any_order_of_events(events: list[tuple[str, int, int, Priority]]) -> None:
    async def play() -> None:
        steps = Steps(workers=2)
        lane, _ = steps.lane(replace(LIMITS, queue_tokens=100))
        tasks: list[asyncio.Task[Computed]] = []
        for kind, number, length, priority in events:
            if kind == "send":
                deadline = steps.now + 0.05 if number == 0 else None
                tasks.append(send(lane, number, length, deadline, priority))
            elif kind == "cancel" and tasks:
                tasks[number % len(tasks)].cancel()
            elif kind == "time":
                steps.now += 0.02 * number
            elif kind in {"step", "fail"} and steps.workers[number % 2].batch is not None:
                error = RuntimeError("bad") if kind == "fail" else None
                steps.workers[number % 2].finish(0.01, error)
            await settled()
            assert lane.queued_tokens >= lane.queued_texts >= 0
        for _ in range(200):
            for worker in steps.workers:
                if worker.batch is not None:
                    worker.finish(0.01)
            await settled()
        assert all(task.done() for task in tasks)
        assert (lane.queued_texts, lane.queued_tokens, lane.running_batches) == (0, 0, 0)
        assert not lane._flight
        for task in tasks:
            if not task.cancelled() and task.exception() is None:
                assert task.result().rows[0][1] in range(1, 13)

    asyncio.run(play())


async def test_batches_that_take_all_cores_run_one_at_a_time() -> None:
    steps = Steps(workers=2)
    lane, _ = steps.lane(replace(ONE_BY_ONE, cores=2))
    tasks = [send(lane, n) for n in range(3)]
    await settled()
    assert [len(steps.running(worker)) for worker in (0, 1)].count(1) == 1
    worker = 0 if steps.running(0) else 1
    for _ in tasks:
        await steps.step(worker=worker)
    assert all(task.done() for task in tasks)


async def test_a_model_that_needs_all_cores_is_not_starved_by_one_that_needs_few() -> None:
    steps = Steps(workers=2)
    narrow, _ = steps.lane(ONE_BY_ONE)
    crowd = [send(narrow, n) for n in range(40)]
    await settled()
    whole, _ = steps.lane(replace(ONE_BY_ONE, cores=2))
    task = send(whole, 1000)
    await settled()
    for _ in range(6):
        for worker in (0, 1):
            if steps.running(worker):
                await steps.step(worker=worker)
    assert task.done()
    for each in crowd:
        each.cancel()
