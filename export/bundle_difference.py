"""How two bundles differ, by what their manifests say. Pure: no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from export.contract import Contract
from export.manifest import Manifest, Variant

APART = {
    "schema_version",
    "name",
    "version",
    "labels",
    "thresholds",
    "metrics",
    "variants",
    "versions",
    "measured_on",
    "golden",
    "model_card",
    "sbom",
    "create_time",
    "export_fingerprint",
}
"""Fields that are compared in a way of their own, or that differ between any two bundles."""


class Change(Contract):
    """A value that is not the same. None: that side has none."""

    name: str
    before: str | int | float | bool | None
    after: str | int | float | bool | None


class Measured(Contract):
    """A number of both, or of one of them."""

    of: str
    """Variant, or "checkpoint"."""
    name: str
    before: float | None
    after: float | None

    @property
    def difference(self) -> float | None:
        """After less before."""
        return None if self.before is None or self.after is None else self.after - self.before


class Difference(Contract):
    """From the first bundle to the second."""

    before: str
    after: str
    labels_added: list[str]
    labels_removed: list[str]
    labels_reordered: bool
    """Those that both have stand in another order; answers name labels, so that only clients which count them notice."""
    settings: list[Change]
    """Whatever else the manifests say: encoder, data, length, thresholds, calibration, licences, tokenizer, ..."""
    metrics: list[Measured]
    """On the test split of each bundle's run. Equal `data_fingerprint`s mean equal test rows."""
    variants: list[Measured]
    """Size in bytes, texts_per_second, agreement, drop in points, flips_with_batch_mates: also where they are equal."""
    hosts: tuple[str, str]
    """Where speed was measured."""
    versions: list[Change]
    """Of libraries."""
    identical: bool
    """Nothing is different that a caller or an operator could notice."""


def difference(before: Manifest, after: Manifest, titles: tuple[str, str]) -> Difference:
    """`titles` name the two for people."""
    added = [label for label in after.labels if label not in before.labels]
    removed = [label for label in before.labels if label not in after.labels]
    kept = [label for label in before.labels if label in after.labels]
    settings = _changes(_settings(before), _settings(after))
    metrics = _measured(before.metrics, after.metrics)
    variants = _measured(_figures(before.variants), _figures(after.variants))
    versions = _changes(before.versions, after.versions)
    reordered = kept != [label for label in after.labels if label in before.labels]
    moved = any(each.before != each.after for each in (*metrics, *variants))
    return Difference(
        before=titles[0],
        after=titles[1],
        labels_added=added,
        labels_removed=removed,
        labels_reordered=reordered,
        settings=settings,
        metrics=metrics,
        variants=variants,
        hosts=(before.measured_on.processor, after.measured_on.processor),
        versions=versions,
        identical=not (added or removed or reordered or settings or moved or versions),
    )


def _settings(manifest: Manifest) -> dict[str, Any]:
    said = manifest.model_dump(mode="json", exclude=APART)
    said["tokenizer"] = manifest.tokenizer.sha256
    found = dict(_flat("", said))
    for label, threshold in zip(manifest.labels, manifest.thresholds or (), strict=False):
        found[f"threshold of {label}"] = threshold
    for variant in manifest.variants:
        found |= _flat(
            f"{variant.name}.", {"file": variant.file.sha256, "device": variant.device, "recipe": variant.recipe}
        )
        found[f"{variant.name}.out_of_scope_threshold"] = variant.out_of_scope_threshold
        found |= _flat(f"{variant.name}.", {"set_thresholds": variant.set_thresholds})
    return found


def _flat(prefix: str, values: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """Nested names joined by dots; lists as they are read."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(f"{prefix}{name}.", value)
        elif isinstance(value, list | tuple):
            yield (
                f"{prefix}{name}",
                ", ".join(f"{each:.4g}" if isinstance(each, float) else str(each) for each in value),
            )
        else:
            yield f"{prefix}{name}", value


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    names = dict.fromkeys((*before, *after))
    pairs = ((name, before.get(name), after.get(name)) for name in names)
    return [Change(name=name, before=one, after=other) for name, one, other in pairs if one != other]


def _figures(variants: Iterable[Variant]) -> dict[str, dict[str, float]]:
    found = {}
    for variant in variants:
        parity = variant.parity
        figures = {
            "size_bytes": variant.file.size_bytes,
            "texts_per_second": variant.texts_per_second,
            "agreement": parity.agreement,
            "drop": None if parity.accuracy is None else parity.drop,
            "flips_with_batch_mates": parity.flips_with_batch_mates,
            "mean_cosine": parity.mean_cosine,
        }
        found[variant.name] = {name: float(value) for name, value in figures.items() if value is not None}
    return found


def _measured(before: Mapping[str, Mapping[str, float]], after: Mapping[str, Mapping[str, float]]) -> list[Measured]:
    found = []
    for of in dict.fromkeys((*before, *after)):
        one, other = before.get(of, {}), after.get(of, {})
        for name in dict.fromkeys((*one, *other)):
            found.append(Measured(of=of, name=name, before=one.get(name), after=other.get(name)))
    return found
