"""`python -m export`: from a run to a proven bundle, and the registry's labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from export.encoder_command import encoder
from export.failures import MalformedBundle
from export.terminal import RegistryUrl, console, failures_shown
from export.terms import terms_of
from training.headlines import HEADLINES, as_shown, headline
from training.terminal import quiet_libraries

if TYPE_CHECKING:
    from export.manifest import Manifest
    from export.registry import Registry
    from export.settings import ExportSettings
    from training.run import RunDirectory, RunRecord

app = typer.Typer(
    help="Turn a fine-tuned run into a [bold]proven[/] ONNX bundle, publish it, and say which version is stable.\n\n"
    "Nothing is published that does not answer like the PyTorch checkpoint it came from.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    rich_markup_mode="rich",
    epilog="Example: python -m export bundle --run runs/news --label stable",
)
Name = Annotated[str, typer.Argument(help="Model name.")]


@app.command(rich_help_panel="Make")
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
            _show_variants(manifest)
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
    _show_variants(published.manifest)
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


app.command(rich_help_panel="Make")(encoder)


@app.command("list", rich_help_panel="Look")
def list_models(registry: RegistryUrl = "models") -> None:
    """Models, versions and labels of the registry."""
    from export.registry import Registry

    source = Registry(registry)
    table = Table("model", "version", "labels", "encoder", "test score", "made", box=None, pad_edge=False)
    with failures_shown():
        for name in source.names():
            labels = source.labels(name)
            for version in source.versions(name):
                held = ", ".join(sorted(label for label, value in labels.items() if value == version))
                try:
                    manifest = source.manifest(name, version)
                except MalformedBundle as error:
                    table.add_row(name, str(version), held, f"[red]malformed[/] {escape(str(error))}")
                    continue
                table.add_row(name, str(version), held, manifest.encoder, _score(manifest), manifest.create_time)
    console.print(
        table if table.row_count else f"{registry} holds no models yet: publish one with `python -m export bundle`"
    )


@app.command(rich_help_panel="Look")
def show(
    name: Name,
    registry: RegistryUrl = "models",
    version: Annotated[
        int | None, typer.Option(help="Default: the version labelled stable.", show_default=False)
    ] = None,
) -> None:
    """One version: labels, metrics, variants and the proof of each."""
    from export.registry import Registry

    source = Registry(registry)
    with failures_shown():
        manifest = source.manifest(name, source.resolve(name, version))
        console.print(f"[bold]{name}[/] version {manifest.version}, {_gives(manifest)}")
        _show_variants(manifest)


@app.command(rich_help_panel="Look")
def verify(
    name: Name,
    registry: RegistryUrl = "models",
    version: Annotated[
        int | None, typer.Option(help="Default: the version labelled stable.", show_default=False)
    ] = None,
) -> None:
    """Check every hash of a version and compute its golden answers on this machine."""
    from export.golden_check import golden_faults
    from export.registry import Registry

    source = Registry(registry)
    with failures_shown():
        opened = source.open(name, source.resolve(name, version))
        faults = golden_faults(opened)
        for variant in opened.manifest.variants:
            fault = faults.get(variant.name)
            console.print(f"[red]fails[/] {variant.name}: {fault}" if fault else f"[green]holds[/] {variant.name}")
        if faults:
            raise typer.Exit(1)


@app.command(rich_help_panel="Decide")
def label(
    name: Name,
    version: Annotated[int, typer.Argument(help="Version to point at.")],
    label: Annotated[str, typer.Argument(help="stable, canary, ...")],
    registry: RegistryUrl = "models",
) -> None:
    """Point a label at a version."""
    from export.registry import Registry

    with failures_shown():
        Registry(registry).set_label(name, label, version)
        console.print(f"{name}: {label} is now version {version}")


@app.command(rich_help_panel="Decide")
def unlabel(
    name: Name, label: Annotated[str, typer.Argument(help="Label to remove.")], registry: RegistryUrl = "models"
) -> None:
    """Remove a label; the version stays."""
    from export.registry import Registry

    with failures_shown():
        Registry(registry).remove_label(name, label)
        console.print(f"{name}: {label} is gone")


@app.command(rich_help_panel="Decide")
def rollback(
    name: Name,
    label: Annotated[str, typer.Argument(help="Label to take back.")] = "stable",
    registry: RegistryUrl = "models",
) -> None:
    """Point a label at the version it stood for before."""
    from export.registry import Registry

    with failures_shown():
        version = Registry(registry).roll_back(name, label)
        console.print(f"{name}: {label} is version {version} again")


def _gives(manifest: Manifest) -> str:
    if manifest.task == "embedding":
        return f"vectors of {manifest.width} elements"
    if manifest.scale is not None:
        return f"numbers; those of training had mean {manifest.scale.mean:.4g} and deviation {manifest.scale.deviation:.4g}"
    if manifest.task == "pair_scoring":
        return "relevance of candidates to a query"
    return f"{len(manifest.labels)} labels: {', '.join(manifest.labels)}"


def _score(manifest: Manifest) -> str:
    measured = manifest.metrics.get("checkpoint")
    if measured is None or manifest.task not in HEADLINES:
        return ""
    key, title = headline(manifest.task, measured)
    return f"{as_shown(key, measured[key])} {title}"


def _show_variants(manifest: Manifest) -> None:
    if manifest.task == "embedding":
        from export.encoder_card import variants_table

        console.print(variants_table(manifest))
        return
    table = Table("variant", box=None, pad_edge=False)
    key, title = headline(manifest.task)
    terms = terms_of(manifest.task)
    for name in ("size", "texts/s", terms.agreement, f"validation {title}", f"test {title}", terms.drift):
        table.add_column(name, justify="right")
    checkpoint = manifest.metrics["checkpoint"][key]
    reference = manifest.variants[0].parity.reference_accuracy or 0.0
    table.add_row("PyTorch checkpoint", "", "", "", as_shown(key, reference), as_shown(key, checkpoint), "")
    for variant in manifest.variants:
        parity = variant.parity
        table.add_row(
            variant.name,
            f"{variant.file.size_bytes / 1e6:.1f} MB",
            f"{variant.texts_per_second:.0f}" if variant.texts_per_second else "",
            as_shown(terms.agreement_metric, parity.agreement),
            as_shown(key, parity.accuracy or 0.0),
            as_shown(key, manifest.metrics[variant.name][key]),
            f"{100 * parity.flips_with_batch_mates:.2f} %",
        )
    console.print(table)


if __name__ == "__main__":
    app()
