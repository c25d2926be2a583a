"""The front: what no other variant beats."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from export.tuning.pareto import FASTER, Point, front


def names(*points: tuple[str, float, float]) -> list[str]:
    return [point.name for point in front([Point(name, speed, quality, 1) for name, speed, quality in points])]


def test_who_is_slower_and_worse_is_not_on_the_front() -> None:
    assert names(("fp32", 1.0, 0.93), ("int8", 2.0, 0.92), ("4 bit", 1.5, 0.91)) == ["int8", "fp32"]


def test_who_is_as_good_and_slower_is_beaten_unless_the_lead_may_be_noise() -> None:
    assert names(("a", 2.0, 0.9), ("b", 1.0, 0.9)) == ["a"]
    assert names(("a", 1.02, 0.9), ("b", 1.0, 0.9)) == ["a", "b"]


def test_equals_are_all_on_it() -> None:
    assert names(("a", 1.0, 0.9), ("b", 1.0, 0.9)) == ["a", "b"]


points = st.lists(st.builds(Point, st.text(), st.floats(0.1, 10), st.floats(0, 1), st.just(1)), min_size=1)


@given(points)
def test_no_point_of_the_front_is_beaten_and_every_other_one_is(every: list[Point]) -> None:
    best = front(every)

    def beats(one: Point, other: Point) -> bool:
        better = one.quality > other.quality and one.speed >= other.speed
        faster = one.quality >= other.quality and one.speed > FASTER * other.speed
        return better or faster

    assert best
    for point in every:
        assert (point in best) is not any(beats(other, point) for other in every)
