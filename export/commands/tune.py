"""`python -m export tune`: the fastest variant on this host that is still right."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.markup import escape
from rich.table import Table

from export.terminal import Name, RegistryUrl, console, failures_shown
from training.terminal import quiet_libraries

if TYPE_CHECKING:
    from export.bundle import Bundle
    from export.choices import HostChoice
    from export.manifest import Manifest
    from export.tuning.lengths import TokenLengths

IN_THE_PAGE = ("flips", "drift", "batch", "p99 ms", "all cores ms")
"""Columns that a terminal has no room for."""


def tune(
    name: Name,
    registry: RegistryUrl = "models",
    version: Annotated[
        str | None, typer.Option(help="A version or a label.", show_default="the version labelled stable")
    ] = None,
    texts: Annotated[
        Path | None,
        typer.Option(
            help="Texts of your traffic: csv, tsv, jsonl, parquet, or txt with one a line.", show_default=False
        ),
    ] = None,
    column: Annotated[
        str | None, typer.Option("--text", help="Column of the text; by default found by its name.", show_default=False)
    ] = None,
    pair_column: Annotated[
        str | None, typer.Option("--text-pair", help="Column of the second text of pairs.", show_default=False)
    ] = None,
    lengths: Annotated[
        Path | None,
        typer.Option(
            help="Instead, tokens of a text, one a line, or JSON: tokens to number of texts.", show_default=False
        ),
    ] = None,
    device: Annotated[Literal["cpu", "cuda"], typer.Option(help="What to measure on.")] = "cpu",
    device_id: Annotated[int, typer.Option(help="Which GPU.")] = 0,
    seconds: Annotated[float, typer.Option(help="About how long to measure.", min=1)] = 60.0,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the page and the picture.", show_default="tuning/NAME-VERSION"),
    ] = None,
    write: Annotated[
        bool, typer.Option(help="Add the choice to the registry, for servers on hosts like this one.")
    ] = True,
) -> None:
    """Measure each variant that runs on this host, for the lengths of your traffic, and choose: for load, and for lone texts."""
    from export.registry import Registry
    from export.tuning.tuning import Place
    from export.tuning.tuning import tune as measure
    from training.progress import listener

    quiet_libraries()
    source = Registry(registry)
    with failures_shown():
        number = int(version) if version is not None and version.isdigit() else None
        bundle = source.open(name, source.resolve(name, number, None if number is not None else version))
        traffic = _traffic(bundle, texts, column, pair_column, lengths)
        place = Place(device, device_id, seconds)
        with listener(console) as progress:
            choice = measure(bundle, traffic, place, lambda done, total: progress("measuring in rounds", done, total))
        manifest = bundle.manifest
        if write:
            source.add_choice(name, manifest.version, choice)
        _show(manifest, choice)
        page = _page(manifest, choice, out or Path("tuning") / f"{name}-{manifest.version}")
        console.print(f"[bold]quality against speed[/] {page}", highlight=False)
        if write:
            console.print(
                f"[bold]chosen[/] for {choice.host_class}; servers there take it when they load version {manifest.version}"
            )


def _traffic(
    bundle: Bundle, texts: Path | None, column: str | None, pair_column: str | None, lengths: Path | None
) -> TokenLengths:
    from export.failures import ExportFailure
    from export.tuning.traffic import lengths_of_bundle, lengths_of_file, lengths_of_texts, texts_of

    if texts is not None and lengths is not None:
        raise ExportFailure("--texts and --lengths both say how long texts are: give one of them")
    if texts is not None:
        return lengths_of_texts(bundle, texts_of(texts, column, pair_column), texts.name)
    return lengths_of_file(lengths, bundle.manifest.name) if lengths is not None else lengths_of_bundle(bundle)


def _show(manifest: Manifest, choice: HostChoice) -> None:
    from export.tuning.page import lines, titles
    from export.tuning.quality import quality_of

    table = Table(box=None, pad_edge=False)
    columns = titles(manifest, quality_of(manifest))
    shown = [place for place, title in enumerate(columns) if title not in IN_THE_PAGE]
    for place in shown:
        table.add_column(columns[place], justify="right" if place else "left", overflow="fold")
    for cells, chosen in lines(manifest, choice):
        table.add_row(*(escape(cells[place]) for place in shown), style="bold" if chosen else None)
    console.print(table)
    for goal, why in choice.reasons.items():
        console.print(f"[bold]{goal}[/] {choice.variant(goal)}: {escape(why)}", highlight=False)
    for variant, why in choice.refused.items():
        console.print(f"[yellow]not compared[/] {variant}: {escape(why)}", highlight=False)
    if not choice.quiet:
        console.print("[yellow]note[/] other programs used the cores meanwhile: trust the ratios, not the figures")


def _page(manifest: Manifest, choice: HostChoice, folder: Path) -> Path:
    from export.tuning.page import render
    from export.tuning.picture import plot_choice

    folder.mkdir(parents=True, exist_ok=True)
    stem = choice.host_class.replace("/", "-")
    picture, page = folder / f"{stem}.png", folder / f"{stem}.html"
    plot_choice(manifest, choice, picture)
    page.write_text(render(manifest, choice, picture), encoding="utf-8")
    return page
