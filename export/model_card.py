"""What an export says of a run's variants: to the bundle's model card, and to the run's report."""

from __future__ import annotations

from export.manifest import Manifest, Variant
from export.proof_wording import compared, points_lost
from export.terms import terms_of
from training.headlines import headline
from training.report.card import render_card
from training.report.contents import VariantRow, Variants
from training.report.making import with_variants
from training.run import RunDirectory, RunRecord


def model_card(manifest: Manifest, run: RunDirectory, record: RunRecord) -> str:
    """The card of the bundle: that of the run with the variants. The bundle has no version yet."""
    card = render_card(record, with_variants(run, record, variants_of(manifest, published=False)))
    return "\n".join([card.rstrip("\n"), *_networks(manifest), *_vocabulary(manifest), ""])


def _networks(manifest: Manifest) -> list[str]:
    """What is not the run's own network."""
    others = [(variant.name, each) for variant in manifest.variants if (each := variant.structure) is not None]
    if not others:
        return []
    lines = ["", "## Other networks", "", "These variants are networks of their own, proven beside the checkpoint:", ""]
    for name, each in others:
        lacks = ", ".join(f"{part} {amount}" for part, amount in each.lacks.items() if part != "checkpoint")
        what = lacks if "run" in each.lacks else f"without {lacks}"
        lines.append(f"- {name}: {what}; {each.weights:,} weights")
    return lines


def _vocabulary(manifest: Manifest) -> list[str]:
    """What texts can no longer be written in."""
    trimmed = manifest.vocabulary
    if trimmed is None:
        return []
    gone = ", ".join(trimmed.scripts) or "none that it knew"
    return [
        "",
        "## Vocabulary",
        "",
        f"{trimmed.tokens:,} of the encoder's {trimmed.tokens_before:,} tokens are left. Letters of scripts that the run's "
        f"rows do not have are unknown to this model, as if every such word were the same one: {gone}.",
    ]


def variants_of(manifest: Manifest, published: bool = True) -> Variants:
    """Size, speed and proof of each variant."""
    metric, title = headline(manifest.task, manifest.metrics["checkpoint"])
    terms = terms_of(manifest.task)
    host = manifest.measured_on
    return Variants(
        model=manifest.name,
        version=manifest.version if published else None,
        metric=title,
        agreement=terms.agreement,
        agreement_metric=terms.agreement_metric,
        drift=terms.drift,
        meaning=" ".join(terms.meaning.split()),
        compared_rows=manifest.variants[0].parity.rows,
        measured_on=f"{host.processor} ({', '.join(host.instruction_sets) or 'no instruction sets recorded'})",
        proof=compared(manifest.variants[0].parity),
        rows=[_row(variant, manifest.metrics[variant.name][metric]) for variant in manifest.variants],
    )


def _row(variant: Variant, test: float) -> VariantRow:
    parity = variant.parity
    return VariantRow(
        name=variant.name,
        size_bytes=variant.file.size_bytes,
        texts_per_second=variant.texts_per_second,
        agreement=parity.agreement,
        validation=parity.accuracy or 0.0,
        test=test,
        flips=parity.flips_with_batch_mates,
        lost=points_lost(parity),
    )
