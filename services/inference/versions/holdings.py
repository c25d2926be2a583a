"""The loaded versions of one server: loads them on threads, unloads each when the last call that uses it is answered."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum

import structlog

from export.failures import ExportFailure
from services.inference.execution.session import DeviceUnavailable
from services.inference.loading import LoadedModel
from services.inference.metrics import Metrics
from services.inference.versions.routing import Lease

RETRY_S = 60.0
"""A version that could not be loaded is tried again after so long, or as soon as somebody asks for it."""

log = structlog.get_logger()
Key = tuple[str, int]
"""Name and version."""
Load = Callable[[str, int], LoadedModel]
"""Loads a version, on the thread that calls it."""


class State(Enum):
    """Where a version stands."""

    AVAILABLE = "available"
    LOADING = "loading"
    LOADED = "loaded"
    UNLOADING = "unloading"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a version stands: the variant of a loaded one, why one failed."""

    state: State
    variant: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """Why a version is not loaded, and when to try again."""

    error: Exception
    retry_time: float


@dataclass(slots=True, eq=False)
class Leaving:
    """A version that gets no new calls. Once it is `closing` it cannot come back."""

    lease: Lease
    task: asyncio.Task[None] | None = None
    closing: bool = False


class Holdings:
    """What is loaded, being loaded, being unloaded, or could not be loaded."""

    def __init__(self, load: Load, metrics: Metrics, clock: Callable[[], float] = time.monotonic) -> None:
        self._load = load
        self._metrics = metrics
        self._clock = clock
        # one thread: memory comes from the pool of the thread that asks, and many pools fragment
        self._thread = ThreadPoolExecutor(1, "loading")
        self._loaded: dict[Key, Lease] = {}
        self._loading: set[Key] = set()
        self._leaving: dict[Key, Leaving] = {}
        self._failed: dict[Key, Failed] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def of(self, name: str) -> dict[int, Lease]:
        """Loaded versions of a model."""
        return {version: lease for (held, version), lease in self._loaded.items() if held == name}

    def error(self, key: Key) -> Exception | None:
        """Why a version could not be loaded."""
        failed = self._failed.get(key)
        return failed.error if failed is not None else None

    def standing(self, key: Key) -> Standing:
        """Where a version stands."""
        if key in self._loaded:
            return Standing(State.LOADED, self._loaded[key].model.variant.name)
        if key in self._loading:
            return Standing(State.LOADING)
        if key in self._failed:
            return Standing(State.FAILED, message=str(self._failed[key].error))
        return Standing(State.UNLOADING if key in self._leaving else State.AVAILABLE)

    async def hold(self, key: Key, retry: bool = False) -> bool:
        """Loads a version unless it is loaded, and says whether it is now. What failed lately is not tried without `retry`."""
        if key in self._loaded or self._returned(key):
            return True
        failed = self._failed.get(key)
        if failed is not None and not retry and self._clock() < failed.retry_time:
            return False
        name, version = key
        self._loading.add(key)
        try:
            loop = asyncio.get_running_loop()
            model = await loop.run_in_executor(self._thread, self._load, name, version)
        except (ExportFailure, DeviceUnavailable, OSError, MemoryError) as error:
            self._note(key, error)
        except Exception as error:  # each kind of object store has errors of its own
            log.exception("loading broke", model=name, version=version)
            self._note(key, error)
        else:
            self._failed.pop(key, None)
            self._loaded[key] = Lease(model)
            self._announce(key, model)
        finally:
            self._loading.discard(key)
        return key in self._loaded

    def _returned(self, key: Key) -> bool:
        """Takes back a version whose last calls are still being answered."""
        leaving = self._leaving.get(key)
        if leaving is None or leaving.closing or leaving.task is None:
            return False
        leaving.task.cancel()
        del self._leaving[key]
        self._loaded[key] = leaving.lease
        return True

    def release(self, key: Key) -> None:
        """Unloads a version, to which no new calls lead any more, after its last call."""
        leaving = Leaving(self._loaded.pop(key))
        self._leaving[key] = leaving
        leaving.task = asyncio.create_task(self._unload(key, leaving))
        self._closing.add(leaving.task)
        leaving.task.add_done_callback(self._closing.discard)

    async def _unload(self, key: Key, leaving: Leaving) -> None:
        await leaving.lease.idle()
        leaving.closing = True
        await leaving.lease.model.lane.close()
        if self._leaving.get(key) is leaving:
            del self._leaving[key]
        # failed calls leave exceptions and frames that hold each other, and the model: weights must not wait for chance
        gc.collect()
        name, version = key
        log.info("model unloaded", model=name, version=version)

    def forget(self, name: str, but: Collection[int]) -> None:
        """Failures of versions that nobody wants any more say nothing."""
        for key in [key for key in self._failed if key[0] == name and key[1] not in but]:
            del self._failed[key]

    async def close(self) -> None:
        """Waits no longer for calls; lanes are closed by the scheduler."""
        for task in self._closing:
            task.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _note(self, key: Key, error: Exception) -> None:
        name, version = key
        self._failed[key] = Failed(error, self._clock() + RETRY_S)
        self._metrics.model_load_failures.labels(name, str(version)).inc()
        log.error("model not loaded", model=name, version=version, why=str(error) or type(error).__name__)

    def _announce(self, key: Key, model: LoadedModel) -> None:
        name, version = key
        self._metrics.model_loads.labels(name, str(version)).inc()
        log.info(
            "model loaded", model=name, version=version, variant=model.variant.name, labels=len(model.manifest.labels)
        )
