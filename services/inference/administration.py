"""Looks at and changes which versions are served: checks, writes the registry, has it applied, says what is now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from export.failures import ExportFailure, NoFormerVersion, UnknownModel
from export.manifest import Manifest
from export.serving import MAX_SHARES, Serving, Target
from services.inference.shadowing import Counters, Shadowing
from services.inference.validation import NAME, check_between
from services.inference.versions.desired import targets
from services.inference.versions.holdings import Standing
from services.inference.versions.reconciliation import Reconciler
from services.inference.versions.routing import STABLE
from services.platform.failures import InvalidInput, ModelNotFound, Precondition

PAGE_SIZE = 100
MAX_PAGE_SIZE = 1_000
MAX_VERSION = 2**53

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class VersionView:
    """One version on this server, and the labels that the registry points at it."""

    version: int
    standing: Standing
    labels: list[str]


@dataclass(frozen=True, slots=True)
class ModelView:
    """A model in the registry and on this server. Versions newest first."""

    name: str
    versions: list[VersionView]
    labels: Mapping[str, int]
    serving: Serving
    counters: Counters | None
    """Of the shadow, if there is one."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the registry says of a model."""

    versions: list[int]
    labels: dict[str, int]
    serving: Serving


class ModelAdministration:
    """What `bertline.models.v1.ModelService` does.

    Everything raises InvalidInput, ModelNotFound (the registry has no such model, version or label, or this server does
    not follow the model), or Precondition.
    """

    def __init__(self, reconciler: Reconciler, shadowing: Shadowing) -> None:
        self._registry = reconciler.following.registry
        self._reconciler = reconciler
        self._shadowing = shadowing

    async def page(self, size: int, after: str) -> tuple[list[ModelView], str]:
        """Models by name, those that come after a name, and the name to go on after; empty at the end."""
        check_between(size, 0, MAX_PAGE_SIZE, "page_size")
        names = await _reading(self._reconciler.following.names)
        names = [name for name in names if name > after]
        page = names[: size or PAGE_SIZE]
        views = [await self._listed(name) for name in page]
        return [view for view in views if view is not None], page[-1] if len(names) > len(page) else ""

    async def get(self, name: str) -> ModelView:
        """One model."""
        self._check_name(name)
        return await self._view(name)

    async def version(self, name: str, version: int | None, label: str | None) -> tuple[VersionView, Manifest]:
        """One version; the stable one when neither is given."""
        self._check_name(name)
        if version is not None:
            _check_version(version)
        if label is not None:
            _check_label(label)
        number = await _reading(lambda: self._registry.resolve(name, version, label))
        manifest = await _reading(lambda: self._registry.manifest(name, number))
        labels = await _reading(lambda: self._registry.labels(name))
        return self._version(name, number, labels), manifest

    async def load(self, name: str, version: int) -> ModelView:
        """Loads and pins a version."""
        self._check_name(name)
        _check_version(version)
        await _reading(lambda: self._registry.resolve(name, version=version))
        if self._reconciler.following.restricted(name) and version not in self._reconciler.wanted().get(name, ()):
            models = self._reconciler.following.models
            raise Precondition(f"this server was started with --models {models}", "NOT_FOLLOWED", model=name)
        return await self._change(name, [version], lambda: self._registry.pin(name, version))

    async def unload(self, name: str, version: int) -> ModelView:
        """Takes back `load`; a version that is needed otherwise stays."""
        self._check_name(name)
        _check_version(version)

        def write() -> None:
            self._check_unneeded(name, version)
            self._registry.unpin(name, version)

        return await self._change(name, [], write)

    def _check_unneeded(self, name: str, version: int) -> None:
        recorded = self._recorded(name)
        labels = [label for label, pointed in recorded.labels.items() if pointed == version]
        labels += self._reconciler.answering(name, version)
        needs = [f"label {label!r}" for label in sorted({*labels})]
        if version in targets(recorded.labels, recorded.serving):
            needs.append("the traffic split or the shadow")
        if self._reconciler.following.restricted(name) and version in self._reconciler.wanted().get(name, ()):
            needs.append(f"the setting --models {self._reconciler.following.models}")
        if needs:
            raise Precondition(
                f"version {version} of model {name!r} is needed by {', '.join(needs)}", "VERSION_IN_USE", model=name
            )

    async def set_label(self, name: str, label: str, version: int) -> ModelView:
        """Points a label at a version, which is loaded before anything changes."""
        self._check_name(name)
        _check_label(label)
        _check_version(version)
        await _reading(lambda: self._registry.resolve(name, version=version))
        return await self._change(name, [version], lambda: self._registry.set_label(name, label, version))

    async def delete_label(self, name: str, label: str) -> ModelView:
        """Removes a label; not "stable"."""
        self._check_name(name)
        _check_label(label)
        if label == STABLE:
            raise Precondition(f"{STABLE!r} cannot be removed: callers get it by default", "STABLE_IS_NEEDED")
        return await self._change(name, [], lambda: self._registry.remove_label(name, label))

    async def roll_back(self, name: str, label: str) -> ModelView:
        """Points a label at the version it had before."""
        self._check_name(name)
        label = label or STABLE
        _check_label(label)
        former = await _reading(lambda: self._registry.former(name, label))
        return await self._change(name, [former], lambda: self._registry.roll_back(name, label))

    async def set_split(self, name: str, shares: Sequence[tuple[Target, int]]) -> ModelView:
        """Splits the traffic that asks for no version and no label."""
        self._check_name(name)
        check_between(len(shares), 0, MAX_SHARES, "shares")
        for position, (_, percent) in enumerate(shares):
            check_between(percent, 1, 100, f"shares[{position}].percent")
        if sum(percent for _, percent in shares) > 100:
            raise InvalidInput("the shares are more than 100 percent together", "shares", "OUT_OF_RANGE")
        if len({target for target, _ in shares}) < len(shares):
            raise InvalidInput("a version or label has one share", "shares", "TARGET_TWICE")
        needs = await self._meant(name, [target for target, _ in shares])
        return await self._change(name, needs, lambda: self._registry.set_split(name, shares))

    async def set_shadow(self, name: str, target: Target | None, percent: int) -> ModelView:
        """Mirrors a part of that traffic; without a target, nothing."""
        self._check_name(name)
        if target is None:
            check_between(percent, 0, 0, "percent")
        else:
            check_between(percent, 1, 100, "percent")
        needs = await self._meant(name, [] if target is None else [target])
        return await self._change(name, needs, lambda: self._registry.set_shadow(name, target, percent))

    async def _meant(self, name: str, aims: Sequence[Target]) -> list[int]:
        return await _reading(lambda: [self._registry.resolve(name, aim.version, aim.label) for aim in aims])

    async def _change(self, name: str, needs: Sequence[int], write: Callable[[], object]) -> ModelView:
        with _failures():
            await self._reconciler.change(name, needs, write)
        return await self._view(name)

    async def _view(self, name: str) -> ModelView:
        recorded = await _reading(lambda: self._recorded(name))
        shadow = recorded.serving.shadow
        counters = self._shadowing.counters(name, shadow) if shadow is not None else None
        versions = [self._version(name, version, recorded.labels) for version in reversed(recorded.versions)]
        return ModelView(name, versions, recorded.labels, recorded.serving, counters)

    async def _listed(self, name: str) -> ModelView | None:
        """None for a model that the registry has not; one that cannot be read is shown as this server follows it."""
        try:
            return await self._view(name)
        except ModelNotFound:
            return None
        except Precondition:
            last = self._reconciler.last(name)
            versions = [self._version(name, version, last.labels) for version in sorted(last.versions, reverse=True)]
            return ModelView(name, versions, last.labels, Serving(), None)

    def _version(self, name: str, version: int, labels: Mapping[str, int]) -> VersionView:
        pointing = sorted(label for label, pointed in labels.items() if pointed == version)
        return VersionView(version, self._reconciler.standing(name, version), pointing)

    def _recorded(self, name: str) -> Recorded:
        versions = self._registry.versions(name)
        if not versions:
            self._registry.resolve(name)
        return Recorded(versions, self._registry.labels(name), self._registry.serving(name))

    def _check_name(self, name: str) -> None:
        _check_word(name, "name")
        if not self._reconciler.following.follows(name):
            raise ModelNotFound(f"this server does not follow a model named {name!r}", model=name)


@contextmanager
def _failures() -> Iterator[None]:
    """What the registry raises, as what a caller may see."""
    try:
        yield
    except NoFormerVersion as error:
        raise Precondition(str(error), "NO_FORMER_VERSION") from None
    except UnknownModel as error:
        raise ModelNotFound(str(error)) from None
    except ExportFailure as error:
        raise Precondition(str(error), "REGISTRY_REFUSES") from None
    except OSError as error:
        raise Precondition(f"the registry cannot be read: {error.strerror or error}", "REGISTRY_REFUSES") from None


async def _reading(read: Callable[[], Found]) -> Found:
    with _failures():
        return await asyncio.to_thread(read)


def _check_version(version: int) -> None:
    check_between(version, 1, MAX_VERSION, "version")


def _check_label(label: str) -> None:
    _check_word(label, "label")
    if label.isdigit():
        raise InvalidInput("a label is not a number alone", "label", "MALFORMED_NAME")


def _check_word(word: str, field: str) -> None:
    """Without repeating what may be very long."""
    if not NAME.fullmatch(word):
        raise InvalidInput(
            "not a name: use 1 to 64 lower case letters, digits, '.', '_' and '-'", field, "MALFORMED_NAME"
        )
