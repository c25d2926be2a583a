"""`python -m export`: from a run to a proven bundle, and the registry's labels."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from export.failures import ExportFailure, MalformedBundle

if TYPE_CHECKING:
    from export.manifest import Manifest
    from export.registry import Registry

app = typer.Typer(
    help="Turn a fine-tuned run into a [bold]proven[/] ONNX bundle, publish it, and say which version is stable.\n\n"
    "Nothing is published that does not answer like the PyTorch checkpoint it came from.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    rich_markup_mode="rich",
    epilog="Example: python -m export bundle --run runs/news --label stable",
)
console = Console(soft_wrap=True, width=None if sys.stdout.isatty() else 140)

RegistryUrl = Annotated[str, typer.Option("--registry", help="Folder or fsspec URL (s3://bucket/models).")]
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
    max_drop: Annotated[float, typer.Option(help="Accuracy that int8 may lose, in percentage points.")] = 1.0,
    min_agreement: Annotated[float, typer.Option(help="Share of rows with the checkpoint's label.")] = 0.98,
    calibration_rows: Annotated[int, typer.Option(help="Training rows that fix the int8 scales.")] = 256,
    force: Annotated[bool, typer.Option("--force", help="Export again although nothing changed.")] = False,
) -> None:
    """Export, fuse, quantize, verify against the checkpoint, publish. Reuses the published version when nothing changed."""
    from export.registry import Registry
    from export.reuse import published_version, step_fingerprint
    from export.settings import ExportSettings, Gate
    from training.run import RunDirectory

    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    settings = ExportSettings(
        gate=Gate(max_drop=max_drop, min_agreement=min_agreement),
        quantize=quantize,
        half=fp16,
        tensorrt=tensorrt,
        calibration_rows=calibration_rows,
    )
    target = Registry(registry)
    with _failures():
        from export.reuse import complete_run

        record = complete_run(RunDirectory(run))
        fingerprint = step_fingerprint(record, settings)
        version = None if force else published_version(target, record.name, fingerprint)
        if version is not None:
            manifest = target.open(record.name, version).manifest
            console.print(f"[green]reused[/] {record.name} version {version}: run, settings and code did not change")
            _show_variants(manifest)
        else:
            manifest = _export(RunDirectory(run), target, settings, fingerprint)
            version = manifest.version
        if label is not None:
            target.set_label(record.name, label, version)
        labels = ", ".join(sorted(name for name, value in target.labels(record.name).items() if value == version))
        console.print(
            f"[bold]published[/] {record.name} version {version}{f' ({labels})' if labels else ''} in {registry}"
        )


def _export(run: object, target: Registry, settings: object, fingerprint: str) -> Manifest:
    from export.bundling import export_run
    from export.reuse import complete_run
    from export.settings import ExportSettings
    from training.progress import listener
    from training.run import RunDirectory

    assert isinstance(run, RunDirectory) and isinstance(settings, ExportSettings)
    with listener(console) as progress:
        published, candidates = export_run(run, complete_run(run), target, settings, fingerprint, progress)
    _show_variants(published.manifest)
    for candidate in candidates:
        parity = candidate.variant.parity
        if not parity.passed:
            console.print(f"[yellow]refused[/] {candidate.variant.name}: {'; '.join(parity.reasons)}")
    return published.manifest


@app.command("list", rich_help_panel="Look")
def list_models(registry: RegistryUrl = "models") -> None:
    """Models, versions and labels of the registry."""
    from export.registry import Registry

    source = Registry(registry)
    table = Table("model", "version", "labels", "encoder", "test accuracy", "made", box=None, pad_edge=False)
    with _failures():
        for name in source.names():
            labels = source.labels(name)
            for version in source.versions(name):
                held = ", ".join(sorted(label for label, value in labels.items() if value == version))
                try:
                    manifest = source.manifest(name, version)
                except MalformedBundle as error:
                    table.add_row(name, str(version), held, f"[red]malformed[/] {escape(str(error))}")
                    continue
                accuracy = f"{100 * manifest.metrics['checkpoint']['accuracy']:.1f} %"
                table.add_row(name, str(version), held, manifest.encoder, accuracy, manifest.create_time)
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
    with _failures():
        manifest = source.manifest(name, source.resolve(name, version))
        console.print(
            f"[bold]{name}[/] version {manifest.version}, {len(manifest.labels)} labels: {', '.join(manifest.labels)}"
        )
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
    with _failures():
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

    with _failures():
        Registry(registry).set_label(name, label, version)
        console.print(f"{name}: {label} is now version {version}")


@app.command(rich_help_panel="Decide")
def unlabel(
    name: Name, label: Annotated[str, typer.Argument(help="Label to remove.")], registry: RegistryUrl = "models"
) -> None:
    """Remove a label; the version stays."""
    from export.registry import Registry

    with _failures():
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

    with _failures():
        version = Registry(registry).roll_back(name, label)
        console.print(f"{name}: {label} is version {version} again")


def _show_variants(manifest: Manifest) -> None:
    table = Table("variant", box=None, pad_edge=False)
    for name in ("size", "texts/s", "same label", "validation accuracy", "test accuracy", "flips"):
        table.add_column(name, justify="right")
    checkpoint = manifest.metrics["checkpoint"]["accuracy"]
    reference = manifest.variants[0].parity.reference_accuracy
    table.add_row("PyTorch checkpoint", "", "", "", f"{100 * reference:.1f} %", f"{100 * checkpoint:.1f} %", "")
    for variant in manifest.variants:
        parity = variant.parity
        table.add_row(
            variant.name,
            f"{variant.file.size_bytes / 1e6:.1f} MB",
            f"{variant.texts_per_second:.0f}" if variant.texts_per_second else "",
            f"{100 * parity.agreement:.1f} %",
            f"{100 * parity.accuracy:.1f} %",
            f"{100 * manifest.metrics[variant.name]['accuracy']:.1f} %",
            f"{100 * parity.flips_with_batch_mates:.2f} %",
        )
    console.print(table)


class _failures:  # noqa: N801 - reads as a statement: `with _failures():`
    """Prints a failure that the user can mend as a message, not as a traceback, and exits with 2."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, ExportFailure):
            console.print(f"[red]error[/] {escape(str(error))}", soft_wrap=True)
            raise typer.Exit(2) from None


if __name__ == "__main__":
    app()
