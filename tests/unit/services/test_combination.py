from __future__ import annotations

import numpy as np
import pytest

from services.inference.combination import combined
from services.inference.prediction import Encoded, Reading
from services.inference.queries import PLAIN, Combination, Options, Windows

ROWS = [np.array([1.0, -2.0], np.float32), np.array([4.0, -8.0], np.float32)]


def reading(*lengths: int) -> Reading:
    return Reading([Encoded(np.zeros(length, np.int64)) for length in lengths], sum(lengths), truncated=False)


def test_the_mean_weighs_each_window_by_its_tokens() -> None:
    result = combined(reading(20, 10), ROWS, Options(windows=Windows()))
    assert result.tolist() == pytest.approx([2.0, -4.0])
    assert result.dtype == np.float32


def test_the_highest_is_taken_element_by_element() -> None:
    assert combined(reading(20, 10), ROWS, Options(windows=Windows(combination=Combination.MAX))).tolist() == [
        4.0,
        -2.0,
    ]


@pytest.mark.parametrize("combination", Combination)
def test_one_window_is_its_own_result(combination: Combination) -> None:
    assert combined(reading(20), ROWS[:1], Options(windows=Windows(combination=combination))) is ROWS[0]
    assert combined(reading(20), ROWS[:1], PLAIN) is ROWS[0]
