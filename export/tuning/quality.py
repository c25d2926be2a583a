"""What a variant is worth besides its speed: one number from its proof, and what people call it."""

from __future__ import annotations

from dataclasses import dataclass

from export.manifest import Manifest, Variant
from export.terms import terms_of
from training.headlines import as_shown, headline


@dataclass(frozen=True, slots=True)
class Quality:
    """The same kind of number for all variants of a manifest; more is better."""

    title: str
    metric: str
    """As `training.headlines` names it, or "agreement"."""
    values: dict[str, float]
    checkpoint: float | None
    """What the checkpoint reaches, where it is judged by the same."""

    def shown(self, name: str) -> str:
        """Of a variant, for people."""
        return as_shown(self.metric, self.values[name])


def quality_of(manifest: Manifest) -> Quality:
    """The validation metric that the task is judged by; where nothing says what is right, agreement with the checkpoint."""
    parities = {variant.name: variant.parity for variant in manifest.variants}
    scores = {name: parity.accuracy for name, parity in parities.items() if parity.accuracy is not None}
    if len(scores) < len(parities):
        terms = terms_of(manifest.task)
        values = {name: parity.agreement for name, parity in parities.items()}
        return Quality(f"{terms.agreement} as the checkpoint", terms.agreement_metric, values, None)
    if manifest.task == "embedding":
        key, title = "accuracy", "score"
    else:
        key, title = headline(manifest.task)
    reference = next(iter(parities.values())).reference_accuracy
    return Quality(f"validation {title}", key, scores, reference)


def agreement_shown(manifest: Manifest, variant: Variant) -> str:
    """With the checkpoint, finely enough to be told from a limit."""
    return terms_of(manifest.task).agreed(variant.parity.agreement)
