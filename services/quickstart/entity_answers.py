"""Sends held-out texts with entities to the server and lays out what Tag finds in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.markup import escape
from rich.table import Table

from services.clients import InferenceClient, Tagged
from services.quickstart.asking import asked, empty_table, on_one_line, reason_of, title
from services.quickstart.samples import Sample, Span

TEXT_WIDTH = 56
"""Columns of the terminal; a Chinese character takes two."""

NOTHING = "-"
"""Where there is no entity."""


def entity_answers(client: InferenceClient, model: str, samples: Sequence[Sample]) -> Table:
    """Tags the samples one by one. A text is right if all of its entities are, and no others. Raises CallFailed."""
    table = empty_table("text", width=TEXT_WIDTH)
    table.add_column("entities")
    table.add_column("held-out entities")
    table.add_column("latency", justify="right")
    right = 0
    for sample, reply, latency in asked(lambda each: client.tag([each.text], model=model), samples):
        result = reply.results[0]
        wanted = sample.entities or frozenset()
        shown = on_one_line(sample.text)
        if isinstance(result, Tagged):
            found = {(each.start, each.end, each.label) for each in result.entities}
            right += found == wanted
            mark = "[green]✓[/]" if found == wanted else f"[yellow]✗ {_listed(wanted, sample.text)}[/]"
            table.add_row(shown, _listed(found, sample.text), mark, latency)
        else:
            table.add_row(shown, reason_of(result), _listed(wanted, sample.text), latency)
        table.title = title(reply, f"{right} of {len(samples)} held-out texts with all entities right")
    return table


def _listed(entities: Iterable[Span], text: str) -> str:
    named = (f"{label} {' '.join(text[start:end].split())}" for start, end, label in sorted(entities))
    return escape(", ".join(named)) or NOTHING
