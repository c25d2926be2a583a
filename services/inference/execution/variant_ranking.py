"""In which order the variants of a bundle are tried here, and why the first one is the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from export.choices import HostChoice, choice_for
from export.failures import UnknownModel
from export.host import host_class
from export.manifest import Manifest, Variant
from services.inference.execution.devices import Device
from services.inference.settings import InferenceSettings

Why = Literal["pinned", "host_class", "family", "order", "fell_back"]
"""Why a variant serves: a setting names it; it was the best on hosts of this class, or of a class next to it; the bundle has it
first; or whatever came before it does not work here."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """Variants to try, the first one for the reason given."""

    variants: list[Variant]
    why: Why
    host_class: str

    def reason(self, place: int) -> Why:
        """Why the variant at a place serves, if it does."""
        return self.why if place == 0 else "fell_back"


def ranked(
    manifest: Manifest, device: Device, settings: InferenceSettings, choices: Sequence[HostChoice] | None = None
) -> Ranking:
    """A variant that the settings pin, alone; else by the choice for this host; else as the bundle has them.

    `choices` are those of the registry; without them the manifest's own count. Raises UnknownModel for a pinned variant that
    the bundle does not have for this device.
    """
    here = host_class(device.kind, device.id)
    variants = suited(manifest, device)
    pinned = settings.pinned_variant(manifest.name)
    if pinned is not None:
        return Ranking([_named(pinned, variants, manifest, device)], "pinned", here)
    found = choice_for(here, manifest.choices if choices is None else choices)
    if found is None:
        return Ranking(variants, "order", here)
    choice, why = found
    places = {name: place for place, name in enumerate(choice.ranking(settings.tuned_for))}
    ordered = sorted(variants, key=lambda variant: places.get(variant.name, len(places)))
    # a choice for a GPU may name variants that an other device of its family cannot run
    return Ranking(ordered, why if ordered and ordered[0].name in places else "order", here)


def suited(manifest: Manifest, device: Device) -> list[Variant]:
    """Variants meant for the device: on a GPU its own before those for any; on the CPU as the export ordered them by speed."""
    kinds = device.variants()
    found = [variant for variant in manifest.variants if variant.device in kinds]
    return sorted(found, key=lambda variant: kinds.index(variant.device)) if device.on_gpu else found


def _named(name: str, variants: Sequence[Variant], manifest: Manifest, device: Device) -> Variant:
    for variant in variants:
        if variant.name == name:
            return variant
    have = ", ".join(variant.name for variant in variants) or "none"
    raise UnknownModel(
        f"model {manifest.name!r} version {manifest.version} has no variant {name!r} for {device.kind}; it has: {have}"
    )
