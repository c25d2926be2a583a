from __future__ import annotations

import asyncio
import os
import random
import threading
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.inference.prediction import Encoded
from services.inference.scheduling.batch_selection import Limits, best_range
from services.inference.scheduling.lane import Lane
from services.inference.scheduling.scheduler import Scheduler, thread_workers
from services.platform.failures import DeadlineExceeded, Draining, Failure, InferenceFailed, Overloaded
from tests.fakes.computation import FakeComputation, FakeObserver, encoded

LIMITS = Limits(batch_tokens=64, batch_texts=8, queue_tokens=1000)


def make(
    computation: FakeComputation, workers: int = 1, wide: bool = False, limits: Limits = LIMITS
) -> tuple[Lane, FakeObserver]:
    observer = FakeObserver()
    limits = replace(limits, wide_from_tokens=4 if wide else None)
    return Scheduler(workers).lane(computation, limits, observer), observer


async def started(computation: FakeComputation) -> None:
    """Waits until one more batch is being computed."""
    await asyncio.to_thread(computation.started.acquire, timeout=10)


async def test_every_row_of_a_call_comes_back_in_its_place() -> None:
    lane, _ = make(FakeComputation(), workers=2)
    computed = await lane.submit([encoded(n, 3 + n % 7) for n in range(40)], None)
    assert [row.tolist() for row in computed.rows] == [[n, 3 + n % 7] for n in range(40)]
    await lane.close()


async def test_workers_yield_to_the_event_loop_as_far_as_they_are_told() -> None:
    priorities: list[int] = []

    def compute(rows: list[Encoded], wide: bool) -> list[int]:
        priorities.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return [0] * len(rows)

    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    for niceness in (0, 7):
        lane = Scheduler(1, make_worker=thread_workers(niceness)).lane(compute, LIMITS, FakeObserver())
        await lane.submit([encoded(1)], None)
        await lane.close()
    assert priorities == [own, max(own, 7)]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == own


async def test_texts_that_wait_together_are_computed_together() -> None:
    computation = FakeComputation(hold=True)
    lane, _ = make(computation)
    first = asyncio.create_task(lane.submit([encoded(0)], None))
    await started(computation)
    others = [asyncio.create_task(lane.submit([encoded(n)], None)) for n in range(1, 6)]
    await asyncio.sleep(0)
    computation.release.set()
    await asyncio.gather(first, *others)
    assert sorted(map(sorted, computation.batches)) == [[0], [1, 2, 3, 4, 5]]
    await lane.close()


async def test_a_lone_text_runs_wide_and_texts_under_load_run_narrow() -> None:
    computation = FakeComputation()
    lane, _ = make(computation, workers=2, wide=True)
    await lane.submit([encoded(1)], None)
    await lane.submit([encoded(2), encoded(3)], None)
    assert computation.wide[0] is True
    assert computation.wide[1:] == [False, False]
    await lane.close()


async def test_a_lone_text_too_short_to_gain_stays_narrow() -> None:
    computation = FakeComputation()
    lane, _ = make(computation, workers=2, wide=True)
    await lane.submit([encoded(1, 3)], None)
    await lane.submit([encoded(2, 4)], None)
    assert computation.wide == [False, True]
    await lane.close()


async def test_a_cancelled_caller_leaves_the_queue_and_does_not_delay_its_neighbours() -> None:
    computation = FakeComputation(hold=True)
    lane, observer = make(computation)
    running = asyncio.create_task(lane.submit([encoded(0)], None))
    await started(computation)
    gone = asyncio.create_task(lane.submit([encoded(1)], None))
    stays = asyncio.create_task(lane.submit([encoded(2)], None))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    assert lane.queued_tokens == 4
    computation.release.set()
    await asyncio.gather(running, stays)
    assert [1] not in computation.batches
    assert all(1 not in batch for batch in computation.batches)
    assert observer.drops == [(1, "cancelled")]
    await lane.close()


async def test_a_caller_that_goes_away_during_compute_settles_alone() -> None:
    computation = FakeComputation(hold=True)
    lane, _ = make(computation)
    gone = asyncio.create_task(lane.submit([encoded(0)], None))
    await started(computation)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    computation.release.set()
    computed = await lane.submit([encoded(5)], None)
    assert computed.rows[0].tolist() == [5, 4]
    await lane.close()


async def test_an_expired_text_is_never_computed() -> None:
    computation = FakeComputation(hold=True)
    lane, observer = make(computation)
    loop = asyncio.get_running_loop()
    running = asyncio.create_task(lane.submit([encoded(0)], None))
    await started(computation)
    late = asyncio.create_task(lane.submit([encoded(1), encoded(2)], loop.time() + 0.01))
    await asyncio.sleep(0.05)
    computation.release.set()
    with pytest.raises(DeadlineExceeded):
        await late
    await running
    assert computation.batches == [[0]]
    assert observer.drops == [(2, "expired")]
    assert (lane.queued_texts, lane.queued_tokens) == (0, 0)
    with pytest.raises(DeadlineExceeded):
        await lane.submit([encoded(3)], loop.time() - 1)
    await lane.close()


async def test_a_full_queue_refuses_with_a_sensible_delay() -> None:
    computation = FakeComputation(hold=True)
    lane, _ = make(computation, limits=Limits(64, 8, 11))
    tasks = [asyncio.create_task(lane.submit([encoded(0)], None))]
    await started(computation)
    tasks += [asyncio.create_task(lane.submit([encoded(n)], None)) for n in (1, 2)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded) as caught:
        await lane.submit([encoded(3)], None)
    assert 0.05 <= caught.value.retry_after_s <= 10
    computation.release.set()
    await asyncio.gather(*tasks)
    await lane.close()


async def test_a_poisoned_text_fails_alone_and_the_loop_survives() -> None:
    computation = FakeComputation(hold=True, poison=2)
    lane, _ = make(computation)
    first = asyncio.create_task(lane.submit([encoded(0)], None))
    await started(computation)
    tasks = [asyncio.create_task(lane.submit([encoded(n)], None)) for n in (1, 2, 3)]
    await asyncio.sleep(0)
    computation.release.set()
    results = await asyncio.gather(first, *tasks, return_exceptions=True)
    assert isinstance(results[2], InferenceFailed)
    assert [r.rows[0][0] for r in results if not isinstance(r, BaseException)] == [0, 1, 3]
    assert (await lane.submit([encoded(9)], None)).rows[0][0] == 9
    assert (lane.queued_texts, lane.queued_tokens, lane.running_batches) == (0, 0, 0)
    await lane.close()


async def test_closing_fails_what_waits_and_refuses_what_comes() -> None:
    computation = FakeComputation(hold=True)
    lane, _ = make(computation)
    running = asyncio.create_task(lane.submit([encoded(0)], None))
    await started(computation)
    waiting = asyncio.create_task(lane.submit([encoded(1)], None))
    await asyncio.sleep(0)
    closing = asyncio.create_task(lane.close())
    with pytest.raises(Draining):
        await waiting
    assert not closing.done()  # what is being computed is answered first
    computation.release.set()
    await closing
    assert (await running).rows[0][0] == 0
    with pytest.raises(Draining):
        await lane.submit([encoded(2)], None)


@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=30).map(sorted),
    data=st.data(),
    most=st.integers(1, 10),
    budget=st.integers(40, 200),
)
def test_a_batch_holds_the_oldest_and_keeps_the_budget(
    sizes: list[int], data: st.DataObject, most: int, budget: int
) -> None:
    must = data.draw(st.integers(0, len(sizes) - 1))
    first, last = best_range(sizes, must, most, Limits(budget, most, 1))
    assert first <= must <= last
    assert last - first + 1 <= most
    assert (last - first + 1) * sizes[last] <= budget


def test_a_long_text_does_not_join_short_ones() -> None:
    assert best_range([4, 4, 5, 5, 40], 0, 8, Limits(512, 8, 1)) == (0, 3)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), poison=st.none() | st.integers(0, 30), workers=st.integers(1, 3))
def test_every_caller_settles_exactly_once_whatever_happens(seed: int, poison: int | None, workers: int) -> None:
    async def storm() -> None:
        choice = random.Random(seed)
        computation = FakeComputation(poison=poison)
        lane, _ = make(computation, workers, wide=True, limits=Limits(64, 4, 400))

        async def caller(number: int) -> None:
            await asyncio.sleep(choice.random() / 500)
            deadline = asyncio.get_running_loop().time() + choice.random() / 100 if choice.random() < 0.3 else None
            rows: list[Encoded] = [encoded(number, choice.randint(1, 12)) for _ in range(choice.randint(1, 4))]
            computed = await lane.submit(rows, deadline)
            assert [row.tolist() for row in computed.rows] == [[number, len(row)] for row in rows]

        tasks = [asyncio.create_task(caller(number)) for number in range(40)]
        for task in choice.sample(tasks, 12):
            asyncio.get_running_loop().call_later(choice.random() / 200, task.cancel)
        results = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 20)
        for result in results:
            assert result is None or isinstance(result, Failure | asyncio.CancelledError), result
        for _ in range(1000):
            if lane.running_batches == 0:
                break
            await asyncio.sleep(0.002)
        assert (lane.queued_texts, lane.queued_tokens, lane.running_batches) == (0, 0, 0)
        await lane.close()

    asyncio.run(storm())
