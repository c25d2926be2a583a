"""Sends held-out texts to the server and lays the answers out as a table."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from services.clients import Classified, InferenceClient, Text
from services.quickstart.asking import asked, empty_table, on_one_line, reason_of, title
from services.quickstart.samples import Sample

TEXT_WIDTH = 64
"""Columns of the terminal; a Chinese character takes two."""

NOTHING = "-"
"""Where no label applies."""


def answers(client: InferenceClient, model: str, samples: Sequence[Sample]) -> Table:
    """Classifies the samples one by one. Raises CallFailed."""
    table = empty_table("text", width=TEXT_WIDTH)
    table.add_column("label")
    table.add_column("probability", justify="right")
    table.add_column("held-out label")
    table.add_column("latency", justify="right")
    right = 0
    for sample, reply, latency in asked(lambda each: client.classify([text_of(each)], model=model), samples):
        result = reply.results[0]
        if isinstance(result, Classified):
            found = {label.name for label in result.labels} == sample.labels
            right += found
            mark = "[green]✓[/]" if found else f"[yellow]✗ {escape(sample.label) or NOTHING}[/]"
            named = ", ".join(label.name for label in result.labels)
            probability = ", ".join(f"{100 * label.probability:.1f} %" for label in result.labels)
            table.add_row(shown_text(sample), escape(named) or NOTHING, probability, mark, latency)
        else:
            table.add_row(shown_text(sample), reason_of(result), "", escape(sample.label), latency)
        table.title = title(reply, f"{right} of {len(samples)} held-out texts right")
    return table


def text_of(sample: Sample) -> Text:
    """As the client takes it."""
    return sample.text if sample.text_pair is None else (sample.text, sample.text_pair)


def shown_text(sample: Sample) -> str:
    """On one line."""
    parts = (sample.text,) if sample.text_pair is None else (sample.text, sample.text_pair)
    return " | ".join(map(on_one_line, parts))
