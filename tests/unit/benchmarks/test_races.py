from __future__ import annotations

from benchmarks.races import Pace


def test_a_pace_is_compared_round_by_round_so_that_a_slow_round_slows_both() -> None:
    ours, theirs = Pace([20.0, 4.0, 33.0]), Pace([10.0, 2.0, 11.0])
    assert ours.rate == 20
    assert ours.against(theirs) == "2.00 (2.00 to 3.00)"
    assert ours.against(ours) == "1.00 (1.00 to 1.00)"
