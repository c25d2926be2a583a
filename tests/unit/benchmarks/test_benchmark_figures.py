from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.figures import percentile, ratio
from benchmarks.generator import Call, Mark, Window
from benchmarks.level import level
from benchmarks.limit import Rate

FINITE = st.floats(0, 1e6)


def test_percentiles_are_values_that_occurred() -> None:
    ordered = [float(number) for number in range(1, 101)]
    assert [percentile(ordered, share) for share in (0.01, 0.5, 0.95, 0.99, 1.0)] == [1, 50, 95, 99, 100]
    assert percentile([7.0], 0.99) == 7.0
    assert math.isnan(percentile([], 0.5))


@given(st.lists(FINITE, min_size=1), st.floats(0.001, 1.0))
def test_at_least_the_asked_share_lies_at_or_below_a_percentile(values: list[float], share: float) -> None:
    ordered = sorted(values)
    found = percentile(ordered, share)
    assert sum(value <= found for value in ordered) >= share * len(ordered) * (1 - 1e-9)
    assert sum(value < found for value in ordered) < share * len(ordered) * (1 + 1e-9)


def test_a_ratio_is_taken_over_the_median_limit_and_spreads_over_the_others() -> None:
    found = ratio(90.0, [100.0, 120.0, 90.0])
    assert (found.value, found.low, found.high) == (0.9, 0.75, 1.0)


@given(st.floats(1, 1e6), st.lists(st.floats(1, 1e6), min_size=1))
def test_a_ratio_lies_within_its_spread(rate: float, limits: list[float]) -> None:
    found = ratio(rate, limits)
    assert found.low * (1 - 1e-9) <= found.value <= found.high * (1 + 1e-9)


def window(calls: list[Call], start: float, cpu: float) -> Window:
    return Window(calls, Mark(start, cpu, 10 * cpu, 7.0), Mark(start + 2.0, cpu + 0.01, 10 * cpu + 0.5, 9.5))


def test_a_level_sums_up_its_windows() -> None:
    first = [Call(number, 0.0, 0.001 * (number + 1), 0, b"") for number in range(10)]
    second = [Call(0, 5.0, 5.5, 8, b""), Call(1, 5.0, 5.2, 0, b""), Call(1, 5.0, 5.2, 0, b"")]
    around = [Rate(8.0, 0.04, 0.1), Rate(6.0, 0.05, 0.2), Rate(4.0, 0.06, 0.3)]
    found = level(4, 1, [window(first, 0.0, 1.0), window(second, 5.0, 2.0)], around, wrong_answers=1)
    assert found.texts == 12
    assert found.texts_per_second == 3.0
    assert (found.ratio.value, found.ratio.low, found.ratio.high) == (0.5, 0.375, 0.75)
    assert found.p50_ms == pytest.approx(6.0)
    assert found.p99_ms == pytest.approx(200.0)
    assert found.errors == {"8": 1, "wrong answer": 1}
    assert found.repeats == 1
    assert found.server_cpu == pytest.approx(1.0 / 12)
    assert found.generator_cpu == pytest.approx(0.02 / 12)
    assert found.generator_share == pytest.approx(0.02 / 1.02)
    assert found.neighbours == pytest.approx((2.5 - 0.51) / 2.0), "what the machine spent beyond server and generator"
    assert found.contended(2)
    assert not found.contended(16)
    assert found.cpu_ratio == pytest.approx(0.05 / (1.02 / 12))


def test_a_level_without_an_answer_is_reported_and_not_divided_by() -> None:
    found = level(1, 1, [window([Call(0, 0.0, 1.0, 14, b"")], 0.0, 1.0)], [Rate(10.0, 0.1, 0.0)], wrong_answers=0)
    assert (found.texts, found.texts_per_second, found.errors) == (0, 0.0, {"14": 1})
    assert math.isnan(found.p50_ms)
