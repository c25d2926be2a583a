"""`python -m export bundle`: from a run to a proven bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from export.commands.variants_table import show_variants
from export.terminal import RegistryUrl, console, failures_shown
from training.terminal import quiet_libraries

if TYPE_CHECKING:
    from export.manifest import Manifest
    from export.registry import Registry
    from export.settings import ExportSettings
    from training.run import RunDirectory, RunRecord


def bundle(
    run: Annotated[Path, typer.Option(help="A complete run, such as runs/news.")],
    registry: RegistryUrl = "models",
    label: Annotated[
        str | None, typer.Option(help="Label to point at the new version, such as stable or canary.")
    ] = None,
    quantize: Annotated[bool, typer.Option(help="Try int8 variants; float32 is always made.")] = True,
    fp16: Annotated[bool, typer.Option("--fp16", help="Add a float16 variant for CUDA.")] = False,
    tensorrt: Annotated[bool, typer.Option("--tensorrt", help="Add a float32 variant for TensorRT.")] = False,
    max_drop: Annotated[
        float, typer.Option(help="Accuracy (or R², nDCG@10, MRR@10) that int8 may lose, in percentage points.")
    ] = 1.0,
    min_agreement: Annotated[
        float | None,
        typer.Option(
            help="Share of rows with the checkpoint's label (or rank agreement with it, or its nearest neighbour).",
            show_default="0.98, of neighbours 0.9",
        ),
    ] = None,
    calibration_rows: Annotated[int, typer.Option(help="Training rows that fix the int8 scales.")] = 256,
    tune_seconds: Annotated[
        float,
        typer.Option(help="About how long to compare the variants for hosts like this one; 0: not at all.", min=0),
    ] = 20.0,
    force: Annotated[bool, typer.Option("--force", help="Export again although nothing changed.")] = False,
) -> None:
    """Export, fuse, quantize, verify against the checkpoint, publish. Reuses the published version when nothing changed."""
    from export.registry import Registry
    from export.reuse import complete_run, published_version, step_fingerprint
    from export.settings import EncoderGate, ExportSettings, Gate
    from training.run import RunDirectory

    quiet_libraries()
    limits = {} if min_agreement is None else {"min_agreement": min_agreement}
    settings = ExportSettings(
        gate=Gate.model_validate({**limits, "max_drop": max_drop}),
        encoder_gate=EncoderGate.model_validate({**limits, "max_drop": max_drop}),
        quantize=quantize,
        half=fp16,
        tensorrt=tensorrt,
        calibration_rows=calibration_rows,
        tune_seconds=tune_seconds,
    )
    target = Registry(registry)
    with failures_shown():
        directory = RunDirectory(run)
        record = complete_run(directory)
        fingerprint = step_fingerprint(record, settings)
        reused = None if force else published_version(target, record.name, fingerprint)
        if reused is not None:
            manifest = target.open(record.name, reused).manifest
            console.print(f"[green]reused[/] {record.name} version {reused}: run, settings and code did not change")
            show_variants(manifest)
        else:
            manifest = _export(directory, record, target, settings, fingerprint)
        if label is not None:
            target.set_label(record.name, label, manifest.version)
        held = target.labels(record.name).items()
        labels = ", ".join(sorted(name for name, version in held if version == manifest.version))
        console.print(
            f"[bold]published[/] {record.name} version {manifest.version}{f' ({labels})' if labels else ''} in {registry}"
        )
        # last: what is published and labelled serves, whatever becomes of a page about it
        if reused is None:
            _report(directory, record, manifest)


def _export(
    run: RunDirectory, record: RunRecord, target: Registry, settings: ExportSettings, fingerprint: str
) -> Manifest:
    from export.bundling import export_run
    from training.progress import listener

    with listener(console) as progress:
        published, candidates = export_run(run, record, target, settings, fingerprint, progress)
    show_variants(published.manifest)
    for candidate in candidates:
        parity = candidate.variant.parity
        if not parity.passed:
            console.print(f"[yellow]refused[/] {candidate.variant.name}: {'; '.join(parity.reasons)}")
    return published.manifest


def _report(run: RunDirectory, record: RunRecord, manifest: Manifest) -> None:
    """Adds the variants to the report of the run, which may lie in a place that is only read."""
    from export.model_card import variants_of
    from training.report.making import stored_report, with_variants, write_report

    if stored_report(run, record) is None:
        return
    try:
        write_report(run, record, with_variants(run, record, variants_of(manifest)))
    except OSError as error:
        console.print(f"[yellow]note[/] the variants are not in {run.evaluation / 'report.html'}: {error.strerror}")
    else:
        console.print(f"[bold]evaluation report[/] {run.evaluation / 'report.html'}", highlight=False)
