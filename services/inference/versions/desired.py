"""Which versions this server should have loaded: what the registry says, restricted by the setting `models`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from export.failures import ExportFailure
from export.registry import Registry
from export.serving import Serving


@dataclass(frozen=True, slots=True)
class Desired:
    """How one model should be served. `labels` and `serving` are the registry's; `versions` those to load."""

    versions: frozenset[int]
    labels: Mapping[str, int]
    serving: Serving
    faults: tuple[str, ...] = ()
    """What the setting asks for and the registry has not."""


NOTHING = Desired(frozenset(), {}, Serving())


@dataclass(frozen=True, slots=True)
class Word:
    """A word of the setting: `name`, `name@label` or `name:version`."""

    text: str

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.text.partition("@")[0].partition(":")[0]

    @property
    def bare(self) -> bool:
        """Whether it means whatever the registry says."""
        return not any(mark in self.text for mark in "@:")

    def version(self, registry: Registry) -> int:
        """The version that a word with a mark means. Raises ExportFailure."""
        if "@" in self.text:
            return registry.resolve(self.name, label=self.text.partition("@")[2])
        number = self.text.partition(":")[2]
        if not (number.isascii() and number.isdigit()):
            raise ExportFailure(f"{self.text!r}: expected name, name@label or name:version")
        return registry.resolve(self.name, version=int(number))


class Following:
    """What this server follows. `models` is the setting: comma-separated words; empty: every model of the registry."""

    def __init__(self, registry: Registry, models: str) -> None:
        self.registry = registry
        self.models = models
        self._words: dict[str, list[Word]] = {}
        for text in (part.strip() for part in models.split(",")):
            if text:
                word = Word(text)
                self._words.setdefault(word.name, []).append(word)

    def names(self) -> list[str]:
        """Names of the models, whether the registry has them or not. Blocks."""
        return sorted(self._words) if self._words else self.registry.names()

    def follows(self, name: str) -> bool:
        """Whether the setting lets the model be served."""
        return not self._words or name in self._words

    def restricted(self, name: str) -> bool:
        """Whether the setting names versions or labels of the model, so that it serves no others."""
        return name in self._words and not any(word.bare for word in self._words[name])

    def desired(self, name: str) -> Desired:
        """How the model should be served. Raises ExportFailure when the registry cannot say. Blocks."""
        labels, serving = self.registry.labels(name), self.registry.serving(name)
        versions: set[int] = set()
        faults: list[str] = []
        for word in self._words.get(name) or [Word(name)]:
            try:
                versions |= self._pointed_at(name, labels, serving) if word.bare else {word.version(self.registry)}
            except ExportFailure as error:
                faults.append(str(error))
        if not versions:
            raise ExportFailure("; ".join(faults))
        return Desired(frozenset(versions), labels, serving, tuple(faults))

    def _pointed_at(self, name: str, labels: Mapping[str, int], serving: Serving) -> set[int]:
        versions = {*labels.values(), *serving.pinned, *targets(labels, serving)}
        if not versions:
            self.registry.resolve(name)  # says that there is no such model, or no label
        return versions

    def all(self) -> dict[str, Desired | str]:
        """Every model's, or why the registry cannot say. Blocks."""
        found: dict[str, Desired | str] = {}
        for name in self.names():
            found[name] = self.one(name)
        return found

    def one(self, name: str) -> Desired | str:
        """As `desired`, with what went wrong as a value."""
        try:
            return self.desired(name)
        except ExportFailure as error:
            return str(error)
        except Exception as error:  # each kind of object store has errors of its own
            return f"the registry cannot be read: {error!r}"


def targets(labels: Mapping[str, int], serving: Serving) -> set[int]:
    """Versions that the traffic split and the shadow need."""
    aims = [share.target for share in serving.split]
    if serving.shadow is not None:
        aims.append(serving.shadow.target)
    return {version for aim in aims if (version := aim.resolve(labels)) is not None}
