"""Ratios with bounds that hold on a noisy machine."""

from __future__ import annotations

import random

import pytest

from export.tuning.statistics import lower_quartile, relative, weighted_median


def test_a_time_is_the_lower_quartile_because_others_only_make_it_longer() -> None:
    assert lower_quartile([1.0, 1.0, 1.0, 1.0, 9.0, 9.0]) == 1.0


def test_what_slows_both_in_a_round_does_not_move_their_ratio() -> None:
    machine = [1.0, 3.0, 1.0, 7.0, 2.0, 1.0]
    found = relative([0.5 * slow for slow in machine], machine)
    assert (found.ratio, found.low, found.high) == (0.5, 0.5, 0.5)


def test_six_rounds_are_bounded_by_their_extremes_and_fifteen_leave_out_three_at_each_end() -> None:
    # binomial(15, 1/2): between the 4th and the 12th lies the median with 96.5 %
    six = relative([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.0] * 6)
    assert (six.low, six.ratio, six.high) == (1.0, 3.5, 6.0)
    fifteen = relative([float(n) for n in range(1, 16)], [1.0] * 15)
    assert (fifteen.low, fifteen.ratio, fifteen.high) == (4.0, 8.0, 12.0)


def test_a_single_round_is_its_own_bounds() -> None:
    assert relative([2.0], [1.0]).model_dump() == {"ratio": 2.0, "low": 2.0, "high": 2.0}


@pytest.mark.parametrize("rounds", [6, 9, 12, 15])
def test_the_bounds_hold_the_true_ratio_nineteen_times_of_twenty(rounds: int) -> None:
    noise = random.Random(rounds)
    held = 0
    for _ in range(1000):
        times = [noise.lognormvariate(0.0, 0.3) for _ in range(rounds)]
        found = relative(times, [1.0] * rounds)
        held += found.low <= 1.0 <= found.high
    assert held >= 935  # 950 less three standard deviations of the draw


def test_half_of_the_weight_lies_below_the_weighted_median() -> None:
    assert weighted_median([5.0, 1.0, 3.0], [0.2, 0.6, 0.2]) == 1.0
    assert weighted_median([5.0, 1.0, 3.0], [0.6, 0.2, 0.2]) == 5.0
    assert weighted_median([1.0, 2.0, 9.0], [0.25, 0.5, 0.0]) == 2.0
