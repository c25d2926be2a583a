"""The model card of a bundle, in Markdown."""

from __future__ import annotations

from export.manifest import Manifest
from export.terms import terms_of
from training.run import HEADLINES, headline


def model_card(manifest: Manifest, run_metrics: dict[str, dict[str, float]]) -> str:
    """What the model is, how good, how fast, and where that was measured."""
    terms = terms_of(manifest.task)
    checkpoint = run_metrics["test"]
    rows = "\n".join(_row(manifest, variant.name) for variant in manifest.variants)
    libraries = ", ".join(f"{name} {version}" for name, version in sorted(manifest.versions.items()))
    sets = ", ".join(manifest.measured_on.instruction_sets) or "none recorded"
    return f"""# {manifest.name}, version {manifest.version}

{_what(manifest)}

- Encoder: `{manifest.encoder}`, fine-tuned; reads at most {manifest.max_length} tokens.
- Test split: {_scores(manifest, checkpoint)}.
{_calibration(manifest)}
## Variants

Compared with the PyTorch checkpoint on {manifest.variants[0].parity.rows} validation rows. {terms.meaning}

| variant | size | texts/s | {terms.agreement} | {headline(manifest.task)[1]} | {terms.drift} |
|---|---|---|---|---|---|
{rows}

Measured on {manifest.measured_on.processor} ({sets}), one thread, sorted batches of 8, tokenization not included.

## Limits

{_limit(manifest)} Scores hold for texts like
the training rows.

## Origin

- Training data fingerprint: `{manifest.data_fingerprint}`
- Made {manifest.create_time} with {libraries}
"""


def _what(manifest: Manifest) -> str:
    texts = "pairs of texts" if manifest.pair else "texts"
    if manifest.scale is not None:
        scale = manifest.scale
        return f"Gives {texts} a number each; in training these had mean {scale.mean:.4g} and deviation {scale.deviation:.4g}."
    if manifest.task == "pair_scoring":
        return "A cross-encoder: reads a query and a candidate together and says how relevant the candidate is, from 0 to 1."
    labels = ", ".join(f"`{label}`" for label in manifest.labels)
    return f"A classifier of {texts} with {len(manifest.labels)} labels: {labels}.{_several(manifest)}"


def _several(manifest: Manifest) -> str:
    if manifest.thresholds is None:
        return ""
    pairs = zip(manifest.labels, manifest.thresholds, strict=True)
    stated = ", ".join(f"`{label}` {threshold:.2f}" for label, threshold in pairs)
    return f"\nA text has any number of them, or none: those whose probability reaches their threshold ({stated})."


def _scores(manifest: Manifest, scores: dict[str, float]) -> str:
    shown = list(HEADLINES[manifest.task].items())[:2]
    return ", ".join(f"{title} {scores[key]:.3f}" for key, title in shown)


def _limit(manifest: Manifest) -> str:
    if manifest.scale is not None:
        return "A text about something else gets a number all the same, usually one near the mean."
    if manifest.task == "pair_scoring":
        return "Relevance is what the training data calls so; of candidates that are all irrelevant one is the best all the same."
    if manifest.thresholds is None:
        return "The labels are those of the training data; a text about something else gets one of them all the same."
    return "The labels are those of the training data; a text about something else should get none of them, but may."


def _calibration(manifest: Manifest) -> str:
    if manifest.calibration is None:
        return ""
    fitted = manifest.calibration
    return (
        f"- Probabilities are calibrated with temperature {fitted.temperature:.3f}: expected calibration error\n"
        f"  {fitted.error_before:.3f} before, {fitted.error_after:.3f} after (test split).\n"
    )


def _row(manifest: Manifest, name: str) -> str:
    variant = next(each for each in manifest.variants if each.name == name)
    parity = variant.parity
    speed = f"{variant.texts_per_second:.0f}" if variant.texts_per_second else ""
    return (
        f"| {name} | {variant.file.size_bytes / 1e6:.1f} MB | {speed} | {100 * parity.agreement:.1f} % "
        f"| {parity.accuracy or 0.0:.3f} | {100 * parity.flips_with_batch_mates:.2f} % |"
    )
