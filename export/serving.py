"""Who answers for a model beside its labels: pinned versions, traffic split, shadow; the content of serving.json. Pure.

The traffic of a model is cut into 100 slots. A share holds as many of them as it has percent, and a caller's routing key
always falls into the same slot. So when a share grows it takes free slots, which "stable" had, and nobody else moves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

from pydantic import Field, model_validator

from export.contract import Contract
from export.manifest import NAME_PATTERN

SERVING = "serving.json"
SLOTS = 100
MAX_SHARES = 10


class Target(Contract):
    """A version, or whatever version a label points at."""

    version: int | None = Field(default=None, ge=1)
    label: str | None = Field(default=None, pattern=NAME_PATTERN)

    @model_validator(mode="after")
    def _one(self) -> Target:
        if (self.version is None) is (self.label is None):
            raise ValueError("a target is a version or a label")
        return self

    def resolve(self, labels: Mapping[str, int]) -> int | None:
        """The version meant; None for a label that is not set."""
        return self.version if self.label is None else labels.get(self.label)

    def __str__(self) -> str:
        return f"version {self.version}" if self.label is None else f"label {self.label!r}"


class Share(Contract):
    """A part of the traffic: slots, each of which is one percent of it."""

    target: Target
    slots: list[int] = Field(min_length=1, max_length=SLOTS)

    @property
    def percent(self) -> int:
        """Its size."""
        return len(self.slots)


class Shadow(Contract):
    """Who is asked, too, for how many of the calls. `set_time` tells one setting from the next: counters start anew."""

    target: Target
    percent: int = Field(ge=1, le=100)
    set_time: str


class Serving(Contract):
    """Content of serving.json."""

    schema_version: Literal[1] = 1
    pinned: list[int] = Field(default=[])
    """Versions that are loaded although nothing points at them."""
    split: list[Share] = Field(default=[], max_length=MAX_SHARES)
    shadow: Shadow | None = None

    @model_validator(mode="after")
    def _disjoint(self) -> Serving:
        slots = [slot for share in self.split for slot in share.slots]
        if len(set(slots)) != len(slots) or not set(slots) <= set(range(SLOTS)):
            raise ValueError(f"the slots of all shares must be distinct and within 0..{SLOTS - 1}")
        if len({share.target for share in self.split}) != len(self.split):
            raise ValueError("each target has one share")
        return self

    def with_pinned(self, version: int, pinned: bool) -> Serving:
        """With the version pinned, or not."""
        versions = {*self.pinned, version} if pinned else {*self.pinned} - {version}
        return self.model_copy(update={"pinned": sorted(versions)})

    def with_split(self, shares: Sequence[tuple[Target, int]]) -> Serving:
        """With these shares, in percent; they keep what slots they have. Raises ValueError over 100 percent in all."""
        held = {share.target: share.slots for share in self.split}
        kept = {target: held.get(target, [])[:percent] for target, percent in shares}
        taken = {slot for slots in kept.values() for slot in slots}
        free = iter([slot for slot in range(SLOTS) if slot not in taken])
        if sum(percent for _, percent in shares) > SLOTS:
            raise ValueError("the shares are more than 100 percent together")
        split = []
        for target, percent in shares:
            more = [next(free) for _ in range(percent - len(kept[target]))]
            split.append(Share(target=target, slots=[*kept[target], *more]))
        return Serving(pinned=self.pinned, split=split, shadow=self.shadow)

    def with_shadow(self, target: Target | None, percent: int) -> Serving:
        """With calls mirrored to the target, or, without one, none."""
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        shadow = None if target is None else Shadow(target=target, percent=percent, set_time=now)
        return self.model_copy(update={"shadow": shadow})
