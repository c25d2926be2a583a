"""Variants are timed in turn on hosts that exist only as formulas."""

from __future__ import annotations

import pytest

from export.choices import GOALS, Goal
from export.tuning.figures import comparison, figures, runs_wide
from export.tuning.lengths import TokenLengths
from export.tuning.rounds import FEWEST, USUAL, Timings, time_variants
from export.tuning.workload import CPU_SIZES, GPU_SIZES, workload
from tests.fakes.bench import RUN_COST_TOKENS, FakeBench

SHORT = TokenLengths.of([*[8] * 40, *[16] * 58, *[64] * 2], "test")
SPEEDS = {"fp32": 1e-4, "int8": 0.5e-4}


def timed(bench: FakeBench, seconds: float = 60.0, lengths: TokenLengths = SHORT) -> Timings:
    return time_variants(bench, list(SPEEDS), lengths, seconds, lambda done, all_: None)


@pytest.mark.parametrize("goal", GOALS)
def test_a_variant_that_takes_half_as_long_is_found_to_through_heavy_noise(goal: Goal) -> None:
    """Runs take half as long again on average, and some three times as long; the bounds are those of 95 %."""
    found = []
    for seed in range(20):
        timings = timed(FakeBench(SPEEDS, noise=0.5, others=0.9, seed=seed))
        found.append(comparison(timings, goal, False)("int8", "fp32"))
    assert sum(each.low < 0.5 < each.high for each in found) >= 16
    assert all(0.4 < each.ratio < 0.6 and each.high < 0.8 for each in found)


def test_figures_are_those_of_the_formula() -> None:
    timings = timed(FakeBench(SPEEDS))
    found = figures(timings, "int8", "fp32")
    assert found.narrow.median_ms == pytest.approx(0.05 * (RUN_COST_TOKENS + 16))
    assert found.narrow.p99_ms == pytest.approx(0.05 * (RUN_COST_TOKENS + 64))
    assert found.wide is not None
    assert found.wide.median_ms == pytest.approx(found.narrow.median_ms / 1.5)
    assert found.throughput.ratio == pytest.approx(0.5)
    reference = figures(timings, "fp32", "fp32")
    assert (reference.throughput.low, reference.throughput.ratio, reference.throughput.high) == (1.0, 1.0, 1.0)
    assert found.texts_per_second == pytest.approx(2 * reference.texts_per_second)


def test_the_smallest_batch_that_is_nearly_the_fastest_is_taken() -> None:
    same = TokenLengths.of([16] * 10, "test")
    # beyond 256 tokens a token costs more: 16 texts fit, 8 pay 6 tokens for 128 instead of for 256
    assert figures(timed(FakeBench(SPEEDS, cache_tokens=256), lengths=same), "fp32", "fp32").batch == 8
    assert figures(timed(FakeBench(SPEEDS, cache_tokens=40), lengths=same), "fp32", "fp32").batch == 2


def test_every_variant_has_its_turn_in_each_round_and_another_one_begins() -> None:
    bench = FakeBench(SPEEDS)
    timings = timed(bench)
    assert timings.rounds == USUAL
    alone = [name for name, lengths in bench.runs if lengths == (64,)]
    firsts = [name for name, before in zip(alone, [None, *alone], strict=False) if name != before]
    assert firsts[:4] in (["fp32", "int8", "fp32", "int8"], ["int8", "fp32", "int8", "fp32"])
    for each in timings.variants.values():
        assert {len(times) for times in each.lone.values()} == {USUAL}
        assert len(each.batches[each.best_size()]) == USUAL


def test_hopeless_batch_sizes_are_given_up_after_the_early_rounds() -> None:
    each = timed(FakeBench(SPEEDS)).variants["fp32"]
    assert set(each.batches) == set(CPU_SIZES)
    assert len(each.batches[1]) == 3
    assert 1 not in each.kept()


def test_measuring_takes_about_the_seconds_given() -> None:
    lengths = TokenLengths.of([256] * 10, "test")
    for seconds in (20.0, 200.0):
        bench = FakeBench({"fp32": 1e-3, "int8": 0.5e-3})
        timed(bench, seconds, lengths)
        assert bench.time < 2 * seconds + 60  # six rounds are made whatever they take


def test_long_texts_on_a_slow_host_are_compared_in_small_batches() -> None:
    work = timed(FakeBench({"fp32": 1e-3, "int8": 0.5e-3}), 20.0, TokenLengths.of([256] * 10, "test")).work
    assert max(work.batches) == 8


def test_too_little_time_makes_six_rounds() -> None:
    assert timed(FakeBench({"fp32": 1e-2, "int8": 1e-2}), 0.1).rounds == FEWEST


def test_lone_texts_are_compared_on_all_cores_only_while_nobody_else_uses_them() -> None:
    assert runs_wide(timed(FakeBench(SPEEDS)))
    assert not runs_wide(timed(FakeBench(SPEEDS, others=0.5)))
    assert not runs_wide(timed(FakeBench(SPEEDS, speed_up=0.8)))
    assert not runs_wide(timed(FakeBench(SPEEDS, cores=1)))


def test_a_busy_host_is_said_to_be() -> None:
    assert timed(FakeBench(SPEEDS)).quiet
    assert not timed(FakeBench(SPEEDS, others=0.3)).quiet


def test_a_gpu_has_large_batches_and_no_wide_session() -> None:
    timings = timed(FakeBench(SPEEDS, on_gpu=True, run_cost=500.0, cache_tokens=10**9))
    assert set(timings.work.batches) == set(GPU_SIZES)
    found = figures(timings, "fp32", "fp32")
    assert found.wide is None
    assert found.batch >= 32


def test_with_time_enough_each_batch_size_runs_the_same_sorted_texts() -> None:
    work = workload(SHORT, CPU_SIZES, 1e-5, 2, 60.0, 15)
    flat = [[length for batch in batches for length in batch] for batches in work.batches.values()]
    assert all(texts == SHORT.sample(128) for texts in flat)
    assert {work.texts(size) for size in CPU_SIZES} == {sum(flat[0]) / SHORT.mean}
    assert sum(work.lone.values()) == pytest.approx(1.0)
    assert (work.late, work.lone[64]) == (64, pytest.approx(0.0, abs=0.05))


def test_with_less_time_batches_are_as_sorted_and_fewer() -> None:
    work = workload(SHORT, CPU_SIZES, 1e-3, 4, 60.0, 15)
    every = workload(SHORT, CPU_SIZES, 1e-5, 2, 60.0, 15).batches
    for size, batches in work.batches.items():
        assert 1 <= len(batches) <= len(every[size])
        assert set(batches) <= set(every[size])
    assert sum(map(len, work.batches[1])) < 128
