"""`python -m export bundle`: from a run to a proven bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from export.commands.budget import points, share
from export.commands.keys import SignWith, read_key
from export.commands.recipes import known_variants
from export.commands.variants_table import show_variants
from export.recipes.catalogue import DEFAULT
from export.terminal import RegistryUrl, console, failures_shown
from training.terminal import quiet_libraries

if TYPE_CHECKING:
    from export.manifest import Manifest
    from export.registry import Registry
    from export.settings import ExportSettings
    from export.signing import SigningKey
    from training.run import RunDirectory, RunRecord


def bundle(
    run: Annotated[Path, typer.Option(help="A complete run, such as runs/news.")],
    registry: RegistryUrl = "models",
    label: Annotated[
        str | None, typer.Option(help="Label to point at the new version, such as stable or canary.")
    ] = None,
    quantize: Annotated[bool, typer.Option(help="Try int8 variants; float32 is always made.")] = True,
    variants: Annotated[
        str,
        typer.Option(
            help="`default`, `all` that run on a CPU, or names of `python -m export recipes`, separated by commas.",
            callback=known_variants,
        ),
    ] = DEFAULT,
    fp16: Annotated[bool, typer.Option("--fp16", help="Add a float16 variant for CUDA.")] = False,
    tensorrt: Annotated[bool, typer.Option("--tensorrt", help="Add a float32 variant for TensorRT.")] = False,
    max_drop: Annotated[
        float,
        typer.Option(
            parser=points,
            metavar="POINTS",
            help="Accuracy (or R², nDCG@10, MRR@10) that a variant may lose, in percentage points: 0.5pt.",
        ),
    ] = 1.0,
    strict_drop: Annotated[
        bool,
        typer.Option("--strict-drop", help="Its whole 95 % interval must be within --max-drop, not just the drop."),
    ] = False,
    min_agreement: Annotated[
        float | None,
        typer.Option(
            parser=share,
            metavar="SHARE",
            help="Share of rows with the checkpoint's label (or rank agreement with it, or its nearest neighbour).",
            show_default="0.98, of neighbours 0.9",
        ),
    ] = None,
    structures: Annotated[
        str, typer.Option(help="Smaller networks as further variants, such as heads-25,layers-1: what is taken away.")
    ] = "",
    candidate_run: Annotated[
        list[Path] | None, typer.Option(help="Another run of the same task, such as a student, as further variants.")
    ] = None,
    min_structural_agreement: Annotated[
        float,
        typer.Option(
            parser=share, metavar="SHARE", help="Share of rows with the checkpoint's label, of these further networks."
        ),
    ] = 0.9,
    trim_vocabulary: Annotated[
        bool, typer.Option("--trim-vocabulary", help="Leave out tokens of scripts that the run's rows do not have.")
    ] = False,
    max_flips: Annotated[
        float,
        typer.Option(
            parser=share,
            metavar="SHARE",
            help="Share of rows that may be answered otherwise in company: 0.002 or 0.2%.",
        ),
    ] = 0.002,
    max_leak: Annotated[
        float,
        typer.Option(
            parser=share,
            metavar="SHARE",
            help="Share of their spread that outputs may move by tokens that the mask hides; dynamic int8 needs 0.1.",
        ),
    ] = 0.01,
    calibration_rows: Annotated[
        int, typer.Option(help="Training rows that fix the int8 scales.", min=8, max=10_000)
    ] = 256,
    data_licence: Annotated[
        str | None,
        typer.Option(help="Of the training data, for the card, such as CC-BY-4.0.", show_default="not stated"),
    ] = None,
    sign_with: SignWith = None,
    tune_seconds: Annotated[
        float,
        typer.Option(help="About how long to compare the variants for hosts like this one; 0: not at all.", min=0),
    ] = 20.0,
    force: Annotated[bool, typer.Option("--force", help="Export again although nothing changed.")] = False,
) -> None:
    """Export, fuse, quantize, verify against the checkpoint, publish. Reuses the published version when nothing changed."""
    from export.licences import NOT_STATED, stated_licence
    from export.registry import Registry
    from export.reuse import complete_run, published_version, step_fingerprint
    from export.settings import EncoderGate, ExportSettings, Gate
    from training.run import RunDirectory

    quiet_libraries()
    if variants != DEFAULT and not quantize:
        raise typer.BadParameter("--no-quantize makes float32 alone and --variants says what is made: leave one out")
    limits: dict[str, float] = {
        "max_drop": max_drop,
        "strict_drop": strict_drop,
        "max_flips": max_flips,
        "max_leak": max_leak,
    }
    limits |= {} if min_agreement is None else {"min_agreement": min_agreement}
    with failures_shown():
        data = NOT_STATED if data_licence is None else stated_licence(data_licence)
        key = read_key(sign_with)
    settings = ExportSettings(
        gate=Gate.model_validate({**limits, "min_structural_agreement": min_structural_agreement}),
        encoder_gate=EncoderGate.model_validate(limits),
        quantize=quantize,
        variants=variants,
        half=fp16,
        tensorrt=tensorrt,
        structures=tuple(name.strip() for name in structures.split(",") if name.strip()),
        candidate_runs=tuple(candidate_run or ()),
        trim_vocabulary=trim_vocabulary,
        calibration_rows=calibration_rows,
        data_licence=data,
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
            if key is not None:
                target.sign(record.name, reused, key)
            console.print(f"[green]reused[/] {record.name} version {reused}: run, settings and code did not change")
            show_variants(manifest)
        else:
            manifest = _export(directory, record, target, settings, fingerprint, key)
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
    run: RunDirectory,
    record: RunRecord,
    target: Registry,
    settings: ExportSettings,
    fingerprint: str,
    key: SigningKey | None,
) -> Manifest:
    from export.bundling import export_run
    from training.progress import listener

    with listener(console) as progress:
        published, candidates = export_run(run, record, target, settings, fingerprint, progress, key)
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
