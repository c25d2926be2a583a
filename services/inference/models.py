"""The loaded models of one server: which version answers to which name, version or label."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from export.failures import ExportFailure
from export.registry import Registry
from services.inference.loading import LoadedModel, load
from services.inference.prediction import ModelReference
from services.inference.scheduling.scheduler import Scheduler
from services.inference.settings import InferenceSettings
from services.platform.failures import ModelNotFound
from services.platform.metrics import Metrics

STABLE = "stable"

log = structlog.get_logger()


class NothingLoaded(Exception):
    """No model at all could be loaded; the message says why for each."""


class Models:
    """Loaded versions by name; labels as they stood when the models were loaded."""

    def __init__(self, loaded: list[LoadedModel], labels: dict[str, dict[str, int]], refused: dict[str, str]) -> None:
        self._by_name: dict[str, dict[int, LoadedModel]] = {}
        for model in loaded:
            self._by_name.setdefault(model.name, {})[model.version] = model
        self._labels = labels
        self._refused = refused
        self._stable = {(name, None, None): self._find(ModelReference(name)) for name in self._servable(labels)}

    def _servable(self, labels: dict[str, dict[str, int]]) -> list[str]:
        return [name for name, versions in self._by_name.items() if labels.get(name, {}).get(STABLE) in versions]

    @contextmanager
    def use(self, reference: ModelReference, routing_key: str = "") -> Iterator[LoadedModel]:
        """The loaded version that a reference means, which stays loaded for the length of the block."""
        yield self.get(reference)

    def get(self, reference: ModelReference) -> LoadedModel:
        """The loaded version that a reference means. Raises ModelNotFound, saying what is loaded."""
        found = self._stable.get((reference.name, reference.version, reference.label))  # type: ignore[arg-type]  # a miss
        return found or self._find(reference)

    def _find(self, reference: ModelReference) -> LoadedModel:
        name = reference.name
        if not name:
            if len(self._by_name) != 1:
                raise ModelNotFound(f"name the model: this server has {self._listed()}")
            name = next(iter(self._by_name))
        versions = self._by_name.get(name)
        if versions is None:
            why = f" (not loaded: {self._refused[name]})" if name in self._refused else ""
            raise ModelNotFound(f"no model is named {name!r}{why}; this server has {self._listed()}", model=name)
        if reference.version is not None:
            if reference.version not in versions:
                shown = ", ".join(map(str, sorted(versions)))
                raise ModelNotFound(
                    f"model {name!r} has no loaded version {reference.version}; loaded: {shown}", model=name
                )
            return versions[reference.version]
        label = reference.label or STABLE
        version = self._labels.get(name, {}).get(label)
        if version is None or version not in versions:
            shown = ", ".join(sorted(self.labels_of(name))) or "none"
            raise ModelNotFound(f"model {name!r} has no loaded version labelled {label!r}; labels: {shown}", model=name)
        return versions[version]

    def loaded(self) -> list[LoadedModel]:
        """All loaded versions, by name and version."""
        return [versions[version] for _, versions in sorted(self._by_name.items()) for version in sorted(versions)]

    def labels_of(self, name: str) -> dict[str, int]:
        """Labels of a model that stand for loaded versions."""
        versions = self._by_name.get(name, {})
        return {label: version for label, version in self._labels.get(name, {}).items() if version in versions}

    def _listed(self) -> str:
        return ", ".join(repr(name) for name in sorted(self._by_name)) or "none"


def load_models(settings: InferenceSettings, scheduler: Scheduler, metrics: Metrics) -> Models:
    """Loads what the settings name. A bundle that cannot be loaded is left out with a log line.

    Raises NothingLoaded when none could be.
    """
    registry = Registry(settings.registry)
    loaded: list[LoadedModel] = []
    refused: dict[str, str] = {}
    labels: dict[str, dict[str, int]] = {}
    for name, version in _wanted(registry, settings.models, labels, refused):
        try:
            model = load(registry.open(name, version), settings, scheduler, metrics)
        except ExportFailure as error:
            refused[name] = str(error)
            log.error("model not loaded", model=name, version=version, why=str(error))
            continue
        loaded.append(model)
        log.info(
            "model loaded", model=name, version=version, variant=model.variant.name, labels=len(model.manifest.labels)
        )
    if not loaded:
        why = "; ".join(f"{name}: {reason}" for name, reason in refused.items())
        why = (
            why
            or f"{settings.registry} holds no labelled model: publish one with `python -m export bundle --label stable`"
        )
        raise NothingLoaded(why)
    return Models(loaded, labels, refused)


def _wanted(
    registry: Registry, models: str, labels: dict[str, dict[str, int]], refused: dict[str, str]
) -> list[tuple[str, int]]:
    """(name, version) of everything to load, each once; fills in the labels of the names."""
    wanted: dict[tuple[str, int], None] = {}
    for word in [part.strip() for part in models.split(",") if part.strip()] or registry.names():
        bare = not any(mark in word for mark in "@:")
        name = word.partition("@")[0].partition(":")[0]
        try:
            labels[name] = registry.labels(name)
            if bare:
                registry.resolve(name, *(() if labels[name] else (None, STABLE)))
                wanted.update({(name, version): None for version in sorted(set(labels[name].values()))})
            else:
                wanted[name, _version(registry, word)] = None
        except ExportFailure as error:
            refused[name] = str(error)
            log.error("model not loaded", model=name, why=str(error))
    return list(wanted)


def _version(registry: Registry, word: str) -> int:
    if "@" in word:
        name, _, label = word.partition("@")
        return registry.resolve(name, label=label)
    name, _, number = word.partition(":")
    if not number.isdigit():
        raise ExportFailure(f"{word!r}: expected name, name@label or name:version")
    return registry.resolve(name, version=int(number))
