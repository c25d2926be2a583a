"""Brings what is loaded to what the registry says, without a call failing on the way.

The registry is the single source of truth; changes are written there and then applied here: at once by the server that
was asked, by all others at their next look. A pass loads what is missing, switches the routing in one step, and only then
unloads what is unwanted, once the calls that use it are answered. A version that cannot be loaded changes nothing: what
its label stood for before goes on answering.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any

import structlog

from services.inference.execution.session import DeviceUnavailable
from services.inference.metrics import Metrics, ModelInfo
from services.inference.versions.desired import NOTHING, Desired, Following
from services.inference.versions.holdings import Holdings, Standing, State
from services.inference.versions.models import Models, NothingLoaded
from services.inference.versions.routing import STABLE, Routes, Routing, routes_of
from services.platform.failures import ModelNotFound, Precondition

SUSPENDED = "unloaded from this server by a client; load it to serve it again"

log = structlog.get_logger()


class Reconciler:
    """Keeps `models` as `following` says, with one pass at a time."""

    def __init__(self, following: Following, holdings: Holdings, models: Models, metrics: Metrics) -> None:
        self.following = following
        self.holdings = holdings
        self._models = models
        self._metrics = metrics
        self._desired: dict[str, Desired] = {}
        self._faults: dict[str, str] = {}
        self._routes: dict[str, Routes] = {}
        self._suspended: set[str] = set()
        self._unreadable = ""
        self._lock = asyncio.Lock()
        self._poller: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    async def start(self, poll_s: float) -> None:
        """The first pass; then one every `poll_s` seconds, unless that is 0.

        Raises NothingLoaded, or DeviceUnavailable when the device that was asked for cannot be had.
        """
        await self.reconcile()
        self._check_start()
        if poll_s:
            self._poller = self._begin(self._poll(poll_s))

    def rest(self) -> None:
        """Makes no more passes of its own; changes that were asked for go on."""
        if self._poller is not None:
            self._poller.cancel()

    async def stop(self) -> None:
        """Ends everything that is under way; what is loaded stays so."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.holdings.close()

    async def reconcile(self) -> None:
        """A pass over all models. A registry that cannot be read changes nothing."""
        async with self._lock:
            try:
                found = await asyncio.to_thread(self.following.all)
            except Exception as error:  # each kind of object store has errors of its own
                self._cannot_read(f"the registry cannot be read: {error!r}")
                return
            if not found and self._desired:
                self._cannot_read("the registry holds no models any more; those that are loaded go on answering")
                return
            self._unreadable = ""
            for name in sorted({*found, *self._desired}):
                await self._apply(name, found.get(name, NOTHING), retry=False)

    async def change(self, name: str, needs: Iterable[int], write: Callable[[], object]) -> None:
        """Loads the versions that a change needs, writes it (on a thread), applies it.

        Raises Precondition, before anything is written, when one cannot be loaded here; whatever `write` raises. It goes
        on to its end also when the caller goes away.
        """
        await asyncio.shield(self._begin(self._change(name, needs, write)))

    async def _change(self, name: str, needs: Iterable[int], write: Callable[[], object]) -> None:
        async with self._lock:
            try:
                for version in needs:
                    self._suspended.discard(name)
                    await self._try(name, version)
                await asyncio.to_thread(write)
            finally:
                await self._look(name, retry=False)

    async def _try(self, name: str, version: int) -> None:
        if self.following.restricted(name) or await self.holdings.hold((name, version), retry=True):
            return
        why = self.holdings.standing((name, version)).message
        raise Precondition(
            f"version {version} of model {name!r} cannot be loaded here: {why}", "MODEL_NOT_LOADABLE", model=name
        )

    async def resume(self, name: str) -> None:
        """Reads the registry anew for one model, loads what is missing, and tries again what failed.

        Raises ModelNotFound, Precondition when a wanted version cannot be loaded.
        """

        if not self.following.follows(name):
            raise ModelNotFound(f"this server follows no model {name!r}", model=name)

        async def work() -> None:
            async with self._lock:
                self._suspended.discard(name)
                await self._look(name, retry=True)
                if name not in self._desired:
                    raise ModelNotFound(self._faults.get(name, f"the registry has no model {name!r}"), model=name)

        await asyncio.shield(self._begin(work()))
        if fault := self.fault(name):
            raise Precondition(f"model {name!r} cannot be loaded here: {fault}", "MODEL_NOT_LOADABLE", model=name)

    async def suspend(self, name: str) -> None:
        """Unloads a model from this server until `resume`. Raises ModelNotFound."""
        if name not in self._desired:
            raise ModelNotFound(f"this server follows no model {name!r}", model=name)

        async def work() -> None:
            async with self._lock:
                self._suspended.add(name)
                await self._apply(name, self._desired[name], retry=False)

        await asyncio.shield(self._begin(work()))

    def standing(self, name: str, version: int) -> Standing:
        """Where a version stands; a failed one says who answers in its place."""
        standing = self.holdings.standing((name, version))
        instead = self._instead(name, version)
        if standing.state is State.FAILED and instead:
            return Standing(standing.state, message=f"{standing.message}; {instead}")
        return standing

    def answering(self, name: str, version: int) -> list[str]:
        """Labels that a loaded version answers for."""
        routes = self._routes.get(name)
        return _pointing(routes.labels, version) if routes is not None else []

    def fault(self, name: str) -> str:
        """Why a model, or a version of it, is not loaded although it should be; empty when all are."""
        if name in self._suspended:
            return SUSPENDED
        wanted = self._desired.get(name, NOTHING)
        errors = (self.holdings.error((name, version)) for version in sorted(wanted.versions))
        faults = [self._faults.get(name, ""), *wanted.faults, *(str(error) for error in errors if error)]
        return "; ".join(fault for fault in faults if fault)

    def last(self, name: str) -> Desired:
        """How a model should be served, as far as the registry could be read."""
        return self._desired.get(name, NOTHING)

    def wanted(self) -> dict[str, frozenset[int]]:
        """Versions that should be loaded, by model."""
        return {name: desired.versions for name, desired in sorted(self._desired.items())}

    async def _look(self, name: str, retry: bool) -> None:
        found = await asyncio.to_thread(self.following.one, name)
        # a name that only a caller knows leaves no trace
        if isinstance(found, Desired) or name in self._desired or name in self._faults:
            await self._apply(name, found, retry)

    async def _apply(self, name: str, found: Desired | str, retry: bool) -> None:
        """Load, switch, unload: one model. With the lock held."""
        if isinstance(found, str):
            if self._faults.get(name) != found:
                log.error("model not loaded", model=name, why=found)
            self._faults[name] = found
            desired = self._desired.get(name, NOTHING)
        else:
            self._faults.pop(name, None)
            desired = found
        if desired is NOTHING:
            self._desired.pop(name, None)
        else:
            self._desired[name] = desired
        wanted = frozenset() if name in self._suspended else desired.versions
        # what everybody gets comes first
        for version in sorted(wanted, key=lambda each: (each != desired.labels.get(STABLE), each)):
            await self.holdings.hold((name, version), retry)
        self.holdings.forget(name, wanted)
        self._switch(name, desired, wanted)

    def _switch(self, name: str, desired: Desired, wanted: frozenset[int]) -> None:
        held = self.holdings.of(name)
        before = self._routes.pop(name, None)
        routes = routes_of(desired, held, wanted, before.labels if before is not None else {})
        if routes.versions:
            self._routes[name] = routes
        self._models.switch(Routing(dict(self._routes), self._reasons()))
        for version in held.keys() - routes.versions.keys():
            self.holdings.release((name, version))
        behind = [label for label, version in routes.labels.items() if desired.labels.get(label) != version]
        self._metrics.labels_behind.labels(name).set(len(behind))
        self._metrics.describe(self._described())
        if before is not None and dict(before.labels) != dict(routes.labels):
            log.info("labels answer", model=name, labels=dict(routes.labels), behind=behind)

    def index(self) -> list[tuple[str, int | None, Standing]]:
        """Name, version and standing of whatever is loaded or should be; version None where nobody can say which."""
        entries: list[tuple[str, int | None, Standing]] = []
        for name in sorted({*self._desired, *self._faults}):
            versions = self._desired.get(name, NOTHING).versions | self.holdings.of(name).keys()
            entries += [(name, version, self._shown(name, version)) for version in sorted(versions)]
            if not versions:
                entries.append((name, None, Standing(State.FAILED, message=self.fault(name))))
        return entries

    def _shown(self, name: str, version: int) -> Standing:
        standing = self.standing(name, version)
        if standing.state is State.AVAILABLE and name in self._suspended:
            return Standing(standing.state, message=SUSPENDED)
        return standing

    def _described(self) -> list[ModelInfo]:
        return [
            ModelInfo(name, str(version), lease.model.variant.name, ",".join(_pointing(routes.labels, version)))
            for name, routes in self._routes.items()
            for version, lease in routes.versions.items()
        ]

    def _reasons(self) -> dict[str, str]:
        names = {*self._desired, *self._faults} - self._routes.keys()
        return {name: fault for name in sorted(names) if (fault := self.fault(name))}

    def _instead(self, name: str, version: int) -> str:
        routes = self._routes.get(name)
        if routes is None:
            return ""
        behind = {
            label: routes.labels[label]
            for label, meant in self._desired.get(name, NOTHING).labels.items()
            if meant == version and routes.labels.get(label, version) != version
        }
        return ", ".join(f"version {former} goes on answering for {label!r}" for label, former in behind.items())

    def _check_start(self) -> None:
        for name, versions in self.wanted().items():
            for version in versions:
                error = self.holdings.error((name, version))
                if isinstance(error, DeviceUnavailable):
                    raise error
        if not self._routes:
            raise NothingLoaded(
                self._unreadable
                or "; ".join(f"{name}: {reason}" for name, reason in self._reasons().items())
                or f"{self.following.registry.url} holds no labelled model: publish one with "
                "`python -m export bundle --label stable`"
            )

    def _cannot_read(self, why: str) -> None:
        if why != self._unreadable:
            log.error("registry not followed", why=why)
        self._unreadable = why

    async def _poll(self, poll_s: float) -> None:
        while True:
            await asyncio.sleep(poll_s)
            try:
                await self.reconcile()
            except Exception:
                log.exception("registry not followed")

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # its caller may have gone away


def _pointing(labels: Mapping[str, int], version: int) -> list[str]:
    return sorted(label for label, pointed in labels.items() if pointed == version)
