"""Versions that load at once, or when the test says so, or not at all; nothing is computed with them."""

from __future__ import annotations

import threading
from typing import Any, cast

from export.failures import MalformedBundle
from export.registry import Registry
from services.inference.loading import LoadedModel
from services.inference.prediction import Served
from services.inference.statistics import ModelStatistics


class FakeLane:
    """As much of a lane as an unloaded model needs."""

    def __init__(self, loader: FakeLoader, version: int) -> None:
        self._loader = loader
        self._version = version

    async def close(self) -> None:
        """Remembered."""
        self._loader.events.append(f"unload {self._version}")


class FakeLoader:
    """As `holdings.Load`, for bundles of a registry. With `hold`, loading waits until `release` is set."""

    def __init__(self, registry: Registry) -> None:
        self.events: list[str] = []
        self.broken: set[int] = set()
        self.release = threading.Event()
        self.release.set()
        self.begun = threading.Event()
        self._registry = registry

    def __call__(self, name: str, version: int) -> LoadedModel:
        """Loads."""
        self.events.append(f"load {version}")
        self.begun.set()
        self.release.wait(timeout=30)
        if version in self.broken:
            raise MalformedBundle(f"{name}/{version} is broken")
        manifest = self._registry.manifest(name, version)
        variant = manifest.variants[0]
        nothing = cast(Any, None)
        return LoadedModel(
            manifest,
            variant,
            tokenization=nothing,
            lane=cast(Any, FakeLane(self, version)),
            statistics=ModelStatistics(),
            served=Served(name, version, variant.name),
            cache=None,
            observer=nothing,
        )
