"""The variants that no other one beats at both quality and speed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

FASTER = 1.03
"""What is less far ahead at equal quality is no faster: it may be noise."""


@dataclass(frozen=True, slots=True)
class Point:
    """A variant: more is better of both."""

    name: str
    speed: float
    quality: float
    size_bytes: int


def front(points: Sequence[Point]) -> list[Point]:
    """Those for which every faster one is worse and every better one is slower, fastest first; equals are all on it."""
    kept = [point for point in points if not any(_beats(other, point) for other in points)]
    return sorted(kept, key=lambda point: (-point.speed, -point.quality, point.name))


def _beats(one: Point, other: Point) -> bool:
    at_least = one.speed >= other.speed and one.quality >= other.quality
    return at_least and (one.quality > other.quality or one.speed > FASTER * other.speed)
