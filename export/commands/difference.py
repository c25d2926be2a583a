"""`python -m export diff`: what is different between two bundles."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from export.terminal import RegistryUrl, console, failures_shown
from training.headlines import as_shown

if TYPE_CHECKING:
    from export.answers import Answer, OtherAnswers
    from export.bundle_difference import Change, Difference, Measured

SHOWN_ANSWERS = 10
LONGEST_TEXT = 80
LONGEST_NAME = 30
SHA256_DIGITS = 64
WORDS = {"size_bytes": "size", "texts_per_second": "texts/s", "drop": "points lost"}
Bundle = Annotated[str, typer.Argument(help="news (stable), news@3, news@canary, or the path of a bundle's folder.")]


def diff(
    before: Bundle,
    after: Bundle,
    registry: RegistryUrl = "models",
    texts: Annotated[
        Path | None,
        typer.Option(help="Ask both the texts of this file (csv, tsv, jsonl, parquet), too.", show_default=False),
    ] = None,
    column: Annotated[
        str | None, typer.Option("--text", help="Column of the text; by default found by its name.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything as one JSON object.")] = False,
) -> None:
    """Labels, settings, metrics, variants and libraries of two bundles, side by side; with texts also their answers."""
    from export.answers import other_answers
    from export.bundle import open_bundle
    from export.bundle_difference import difference
    from export.encoder_texts import read_texts
    from export.places import placed
    from export.registry import Registry

    with failures_shown(), ExitStack() as stack:
        asked = None if texts is None else read_texts(str(texts), column, least=1)
        places = [stack.enter_context(placed(each, Registry(registry))) for each in (before, after)]
        one, other = (open_bundle(place.folder) for place in places)
        found = difference(one.manifest, other.manifest, (places[0].title, places[1].title))
        answers = None if asked is None else other_answers(one, other, asked)
    if as_json:
        _print_json(found, answers)
        return
    _print(found)
    if answers is not None:
        _print_answers(answers)


def _print_json(found: Difference, answers: OtherAnswers | None) -> None:
    import json

    said = found.model_dump(mode="json")
    said["answers"] = None if answers is None else answers.model_dump(mode="json")
    typer.echo(json.dumps(said, ensure_ascii=False, indent=2))


def _print(found: Difference) -> None:
    console.print(f"[bold]{escape(found.before)}[/] and [bold]{escape(found.after)}[/]", highlight=False)
    if found.identical:
        console.print("nothing is different")
        return
    for word, labels in (("added", found.labels_added), ("removed", found.labels_removed)):
        if labels:
            console.print(escape(f"labels {word}: {', '.join(labels)}"), highlight=False)
    if found.labels_reordered:
        console.print("labels stand in another order")
    _print_changes("settings", found.settings, found)
    _print_measured("metrics", found.metrics, found)
    _print_measured("variants", found.variants, found)
    if found.hosts[0] != found.hosts[1]:
        console.print(f"speed was measured on {found.hosts[0]}, and on {found.hosts[1]}", highlight=False)
    _print_changes("libraries", found.versions, found)


def _table(title: str, found: Difference, *more: str) -> Table:
    names = (found.before, found.after)
    if max(map(len, names)) > LONGEST_NAME:  # paths
        names = ("before", "after")
    table = Table(title, *names, *more, box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    return table


def _print_changes(title: str, changes: list[Change], found: Difference) -> None:
    if not changes:
        return
    table = _table(title, found)
    for change in changes:
        table.add_row(escape(change.name), _value(change.before), _value(change.after))
    console.print(table)


def _print_measured(title: str, figures: list[Measured], found: Difference) -> None:
    """Figures of a variant together, each with its difference."""
    if not figures:
        return
    table = _table(title, found, "difference")
    for each in figures:
        by = each.difference
        table.add_row(
            escape(f"{each.of} {WORDS.get(each.name, each.name.replace('_', ' '))}"),
            _figure(each.name, each.before),
            _figure(each.name, each.after),
            "" if not by else ("+" if by > 0 else "-") + _figure(each.name, abs(by)),
        )
    console.print(table)


def _figure(name: str, value: float | None) -> str:
    if value is None:
        return ""
    plain = {
        "size_bytes": f"{value / 1e6:.1f} MB",
        "texts_per_second": f"{value:.0f}",
        "drop": f"{value:.2f}",
        "mean_cosine": f"{value:.4f}",
        "flips_with_batch_mates": f"{100 * value:.2f} %",
    }
    return plain.get(name) or as_shown(name, value)


def _value(value: object) -> str:
    text = "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
    longest = 12 if len(text) == SHA256_DIGITS and text.isalnum() else LONGEST_TEXT
    return escape(text if len(text) <= longest else f"{text[:longest]}…")


def _print_answers(answers: OtherAnswers) -> None:
    count = len(answers.differing)
    console.print(
        f"answers: {count} of {answers.texts} texts differ ({100 * answers.share:.1f} %), "
        f"asked of {answers.variants[0]} and {answers.variants[1]}",
        highlight=False,
    )
    if not count:
        return
    table = Table("text", "before", "after", box=None, pad_edge=False)
    for each in answers.differing[:SHOWN_ANSWERS]:
        table.add_row(_value(" ".join(each.text.split())), _answer(each.before), _answer(each.after))
    console.print(table)


def _answer(answer: Answer) -> str:
    return f"{answer:.4g}" if isinstance(answer, float) else escape(answer)
