from __future__ import annotations

from services.platform.logs import Budget


def test_a_budget_says_some_lines_a_second_and_how_many_it_passed_over() -> None:
    budget = Budget(2)
    assert [budget.take(10.0 + n / 10) for n in range(5)] == [0, 0, None, None, None]
    assert [budget.take(11.0), budget.take(11.5), budget.take(11.9)] == [3, 0, None]
    assert budget.take(20.0) == 1
