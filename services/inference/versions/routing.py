"""Who answers a call: one immutable table for all models, replaced as a whole when anything changes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import NoReturn

from export.serving import SLOTS, Shadow
from services.inference.loading import LoadedModel
from services.inference.queries import ModelReference
from services.inference.versions.desired import Desired
from services.platform.failures import ModelNotFound

STABLE = "stable"
FINENESS = 100
"""Parts of a slot that keys are hashed to."""


class Lease:
    """A loaded version and the number of calls that use it. Only the event loop's thread touches it."""

    __slots__ = ("_idle", "calls", "model")

    def __init__(self, model: LoadedModel) -> None:
        self.model = model
        self.calls = 0
        self._idle: asyncio.Event | None = None

    def enter(self) -> None:
        """A call begins to use the version."""
        self.calls += 1

    def leave(self) -> None:
        """It does so no longer."""
        self.calls -= 1
        if self._idle is not None and not self.calls:
            self._idle.set()

    async def idle(self) -> None:
        """Waits until no call uses the version; new ones must have been turned elsewhere before."""
        if self.calls:
            self._idle = asyncio.Event()
            await self._idle.wait()


@dataclass(frozen=True, slots=True)
class ShadowRoute:
    """Who is asked, too, and as which setting of the shadow."""

    setting: Shadow
    version: int


@dataclass(frozen=True, slots=True)
class Routes:
    """One model: loaded versions, the labels that they answer for, who has each slot of the traffic, the shadow."""

    versions: Mapping[int, Lease]
    labels: Mapping[str, int]
    slots: Sequence[Lease | None] = ()
    """Empty without a split; None for slots that are left to "stable"."""
    shadow: ShadowRoute | None = None


Reference = tuple[str, int | None, str | None]


class Routing:
    """The table. `reasons` says why models that should be here are not."""

    def __init__(self, models: Mapping[str, Routes], reasons: Mapping[str, str]) -> None:
        self.models = models
        self._reasons = reasons
        self._known: dict[Reference, Lease] = {}
        self._split: dict[str, tuple[str, Sequence[Lease | None]]] = {}
        self.shadows = {name: routes.shadow for name, routes in models.items() if routes.shadow is not None}
        for name, routes in models.items():
            self._add(name, name, routes)
            if len(models) == 1:
                self._add("", name, routes)

    def _add(self, called: str, name: str, routes: Routes) -> None:
        for version, lease in routes.versions.items():
            self._known[called, version, None] = lease
        for label, version in routes.labels.items():
            self._known[called, None, label] = routes.versions[version]
        if STABLE in routes.labels:
            self._known[called, None, None] = routes.versions[routes.labels[STABLE]]
        if any(routes.slots):
            self._split[called] = (name, routes.slots)

    def choose(self, reference: ModelReference, routing_key: str) -> Lease:
        """Who answers a call: by version or label, else by the traffic split, else "stable". Raises ModelNotFound."""
        if self._split and reference.version is None and reference.label is None and reference.name in self._split:
            name, slots = self._split[reference.name]
            chosen = slots[slot_of(name, routing_key)]
            if chosen is not None:
                return chosen
        return self.find(reference)

    def find(self, reference: ModelReference) -> Lease:
        """The version that a reference means, whatever the traffic split. Raises ModelNotFound, saying what is loaded."""
        found = self._known.get((reference.name, reference.version, reference.label))
        return self._missing(reference) if found is None else found

    def _missing(self, reference: ModelReference) -> NoReturn:
        name = reference.name
        if not name:
            if len(self.models) != 1:
                raise ModelNotFound(f"name the model: this server has {self._listed()}")
            name = next(iter(self.models))
        if name not in self.models:
            why = f" (not loaded: {self._reasons[name]})" if name in self._reasons else ""
            raise ModelNotFound(f"no model is named {name!r}{why}; this server has {self._listed()}", model=name)
        routes = self.models[name]
        if reference.version is not None:
            shown = ", ".join(map(str, sorted(routes.versions)))
            raise ModelNotFound(
                f"model {name!r} has no loaded version {reference.version}; loaded: {shown}", model=name
            )
        shown = ", ".join(sorted(routes.labels)) or "none"
        label = reference.label or STABLE
        raise ModelNotFound(f"model {name!r} has no loaded version labelled {label!r}; labels: {shown}", model=name)

    def _listed(self) -> str:
        return ", ".join(repr(name) for name in sorted(self.models)) or "none"


def routes_of(desired: Desired, held: Mapping[int, Lease], wanted: frozenset[int], former: Mapping[str, int]) -> Routes:
    """The routes of a model of which `held` versions are loaded.

    A label whose version should be loaded (`wanted`) and could not be answers as it did before (`former`). Shares and
    shadows of versions that are not loaded fall away.
    """
    labels: dict[str, int] = {}
    for label, version in desired.labels.items():
        if version in wanted:
            answering = version if version in held else former.get(label)
            if answering is not None and answering in held:
                labels[label] = answering
    kept = {version: held[version] for version in sorted({*wanted, *labels.values()} & held.keys())}
    slots: list[Lease | None] = [None] * SLOTS if desired.serving.split else []
    for share in desired.serving.split:
        for slot in share.slots:
            slots[slot] = kept.get(share.target.resolve(labels) or 0)
    shadow = desired.serving.shadow
    asked = shadow.target.resolve(labels) if shadow is not None else None
    route = ShadowRoute(shadow, asked) if shadow is not None and asked is not None and asked in kept else None
    return Routes(kept, labels, slots, route)


def slot_of(name: str, routing_key: str) -> int:
    """The slot of a caller, the same for equal keys, on every server; any slot for a caller without a key."""
    if not routing_key:
        return random.randrange(SLOTS)  # noqa: S311 - a share of calls, not a secret
    digest = blake2b(f"{name}\0{routing_key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % (SLOTS * FINENESS) // FINENESS
