"""Sends held-out texts with entities to the server and lays out what Tag finds in them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from rich.markup import escape
from rich.table import Table

from services.clients import InferenceClient, Tagged
from services.quickstart.samples import Sample, Span

TEXT_WIDTH = 56
"""Columns of the terminal; a Chinese character takes two."""

NOTHING = "-"
"""Where there is no entity."""


def entity_answers(client: InferenceClient, model: str, samples: Sequence[Sample]) -> Table:
    """Tags the samples one by one. A text is right if all of its entities are, and no others. Raises CallFailed."""
    table = Table(box=None, pad_edge=False, title_justify="left")
    table.add_column("text", no_wrap=True, overflow="ellipsis", max_width=TEXT_WIDTH)
    table.add_column("entities")
    table.add_column("held-out entities")
    table.add_column("latency", justify="right")
    client.tag([samples[0].text], model=model)  # the first call also opens the connection
    right = 0
    for sample in samples:
        begun = time.perf_counter()
        reply = client.tag([sample.text], model=model)
        latency = f"{1000 * (time.perf_counter() - begun):.1f} ms"
        result = reply.results[0]
        wanted = sample.entities or frozenset()
        shown = escape(" ".join(sample.text.split()))
        if isinstance(result, Tagged):
            found = {(each.start, each.end, each.label) for each in result.entities}
            right += found == wanted
            mark = "[green]✓[/]" if found == wanted else f"[yellow]✗ {_listed(wanted, sample.text)}[/]"
            table.add_row(shown, _listed(found, sample.text), mark, latency)
        else:
            table.add_row(shown, f"[red]{escape(result.details.reason)}[/]", _listed(wanted, sample.text), latency)
        table.title = (
            f"{escape(reply.model)} version {reply.version}, {reply.variant}: "
            f"{right} of {len(samples)} held-out texts with all entities right"
        )
    return table


def _listed(entities: Iterable[Span], text: str) -> str:
    named = (f"{label} {' '.join(text[start:end].split())}" for start, end, label in sorted(entities))
    return escape(", ".join(named)) or NOTHING
