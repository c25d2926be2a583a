"""Sends held-out texts to the server and lays the answers out as a table."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from services.clients import Classified, ClassifyReply, InferenceClient, Text
from services.quickstart.samples import Sample

TEXT_WIDTH = 64
"""Columns of the terminal; a Chinese character takes two."""

NOTHING = "-"
"""Where no label applies."""


def answers(client: InferenceClient, model: str, samples: Sequence[Sample]) -> Table:
    """Classifies the samples one by one. Raises CallFailed."""
    table = Table(box=None, pad_edge=False, title_justify="left")
    table.add_column("text", no_wrap=True, overflow="ellipsis", max_width=TEXT_WIDTH)
    table.add_column("label")
    table.add_column("probability", justify="right")
    table.add_column("held-out label")
    table.add_column("latency", justify="right")
    client.classify([text_of(samples[0])], model=model)  # the first call also opens the connection
    right = 0
    for sample in samples:
        begun = time.perf_counter()
        reply = client.classify([text_of(sample)], model=model)
        latency = f"{1000 * (time.perf_counter() - begun):.1f} ms"
        result = reply.results[0]
        if isinstance(result, Classified):
            found = {label.name for label in result.labels} == sample.labels
            right += found
            mark = "[green]✓[/]" if found else f"[yellow]✗ {escape(sample.label) or NOTHING}[/]"
            named = ", ".join(label.name for label in result.labels)
            probability = ", ".join(f"{100 * label.probability:.1f} %" for label in result.labels)
            table.add_row(shown_text(sample), escape(named) or NOTHING, probability, mark, latency)
        else:
            table.add_row(
                shown_text(sample), f"[red]{escape(result.details.reason)}[/]", "", escape(sample.label), latency
            )
        table.title = _title(reply, right, len(samples))
    return table


def text_of(sample: Sample) -> Text:
    """As the client takes it."""
    return sample.text if sample.text_pair is None else (sample.text, sample.text_pair)


def shown_text(sample: Sample) -> str:
    """On one line."""
    parts = (sample.text,) if sample.text_pair is None else (sample.text, sample.text_pair)
    return escape(" | ".join(" ".join(part.split()) for part in parts))


def _title(reply: ClassifyReply, right: int, count: int) -> str:
    return f"{escape(reply.model)} version {reply.version}, {reply.variant}: {right} of {count} held-out texts right"
