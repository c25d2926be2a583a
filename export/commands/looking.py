"""`python -m export list`, `show`, `verify`: what a registry holds, and whether it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from export.commands.keys import TrustedKeyPaths, trusted_keys
from export.commands.variants_table import show_variants
from export.failures import MalformedBundle
from export.terminal import Name, RegistryUrl, console, failures_shown
from training.headlines import HEADLINES, as_shown, headline

if TYPE_CHECKING:
    from export.manifest import Manifest


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
        show_variants(manifest)
        for choice in source.choices(manifest):
            console.print(
                f"[bold]best on {choice.host_class}[/] under load {choice.throughput}, for a text alone {choice.latency}",
                highlight=False,
            )


def verify(
    bundle: Annotated[
        str, typer.Argument(help="news (stable), news@3, news@canary, or the path of a bundle's folder.")
    ],
    registry: RegistryUrl = "models",
    version: Annotated[
        int | None, typer.Option(help="Default: the version labelled stable.", show_default=False)
    ] = None,
    trusted_key: TrustedKeyPaths = None,
) -> None:
    """Check every hash of a bundle, its signature, and its golden answers on this machine; ends with 1 if anything fails."""
    from export.inspection import inspected
    from export.places import placed
    from export.registry import Registry

    with failures_shown(), placed(bundle, Registry(registry), version) as place:
        findings = inspected(place, trusted_keys(trusted_key))
    for each in findings:
        verdict = "[green]holds[/]" if each.fault is None else "[red]fails[/]"
        said = f": {each.fault}" if each.fault else f" ({each.note})" if each.note else ""
        console.print(f"{verdict} {escape(each.subject + said)}", highlight=False)
    if any(each.fault is not None for each in findings):
        raise typer.Exit(1)


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
