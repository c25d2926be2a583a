"""Asks a sentence encoder which held-out text is nearest to each of some others, and lays the answers out as a table."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from services.clients import InferenceClient, Scored
from services.quickstart.asking import add_text_column, asked, empty_table, on_one_line, reason_of, title
from services.quickstart.samples import Sample, in_turns, pick

CANDIDATES = 32
"""Held-out rows whose texts are looked at; a call takes a bounded number."""
TEXT_WIDTH, WANTED_WIDTH = 44, 24
"""Columns of the terminal; a Chinese character takes two."""


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """A text, those that its nearest one is looked for among, and which of them belong with it."""

    text: str
    candidates: list[str]
    right: frozenset[str]
    wanted: str
    """What belongs with it, for people; where a number says how near two texts are, that number and the second text."""
    judged: bool
    """Whether the nearest can be right or wrong."""


def pick_neighbourhoods(file: Path, count: int) -> list[Neighbourhood]:
    """Up to `count` rows of a test.jsonl, in turns as `pick` takes them. Raises NoSamples."""
    rows = pick(file, sys.maxsize)
    held_out = (rows if rows[0].text_pair is not None else _in_company(rows))[:CANDIDATES]
    return [_neighbourhood(sample, held_out) for sample in held_out[:count]]


def _in_company(rows: Sequence[Sample]) -> Sequence[Sample]:
    """Rows of so few labels that each of them has two texts among the candidates; all rows where no label has two."""
    by_label: dict[str, dict[str, Sample]] = {}
    for row in rows:
        by_label.setdefault(row.label, {}).setdefault(row.text, row)
    shared = [list(texts.values()) for texts in by_label.values() if len(texts) > 1]
    return in_turns(shared[: CANDIDATES // 2]) or rows


def _neighbourhood(sample: Sample, held_out: Sequence[Sample]) -> Neighbourhood:
    if sample.text_pair is None:
        others = {each.text: each.label for each in held_out if each.text != sample.text} or {sample.text: sample.label}
        right = frozenset(text for text, label in others.items() if label == sample.label)
        return Neighbourhood(sample.text, list(others), right, sample.label, bool(right))
    candidates = list(dict.fromkeys(each.text_pair for each in held_out if each.text_pair is not None))
    right = frozenset(each.text_pair for each in held_out if each.text == sample.text and each.text_pair is not None)
    wanted = f"({sample.label}) {sample.text_pair}" if sample.label else sample.text_pair
    return Neighbourhood(sample.text, candidates, right, wanted, not sample.label)


def neighbour_answers(client: InferenceClient, model: str, samples: Sequence[Neighbourhood]) -> Table:
    """Scores the candidates of the samples one by one. Raises CallFailed."""
    table = empty_table("text", "nearest held-out text", width=TEXT_WIDTH)
    table.add_column("cosine", justify="right")
    add_text_column(table, "belongs with it", WANTED_WIDTH)
    table.add_column("latency", justify="right")
    right = 0
    for sample, reply, latency in asked(
        lambda each: client.score(each.text, each.candidates, model=model, top_k=1), samples
    ):
        best = reply.results[0]
        text, wanted = on_one_line(sample.text), on_one_line(sample.wanted)
        if isinstance(best, Scored):
            nearest = sample.candidates[best.index]
            found = nearest in sample.right
            right += found
            mark = "[green]✓[/]" if found else f"[yellow]{'✗ ' if sample.judged else ''}{wanted}[/]"
            table.add_row(text, on_one_line(nearest), f"{best.score:.3f}", mark, latency)
        else:
            table.add_row(text, reason_of(best), "", wanted, latency)
        table.title = title(reply, _found(right, samples))
    return table


def _found(right: int, samples: Sequence[Neighbourhood]) -> str:
    if not all(sample.judged for sample in samples):
        return f"what is nearest to {len(samples)} held-out texts"
    return f"{right} of {len(samples)} held-out texts find one that belongs with them"
