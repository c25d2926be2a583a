"""Sends held-out texts to a model of numbers and lays its numbers out beside the true ones."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from services.clients import InferenceClient, Regressed
from services.quickstart.answers import TEXT_WIDTH, shown_text, text_of
from services.quickstart.asking import asked, empty_table, reason_of, title
from services.quickstart.samples import Sample


def number_answers(client: InferenceClient, model: str, samples: Sequence[Sample]) -> Table:
    """Asks for the samples' numbers one by one. Raises CallFailed."""
    table = empty_table("text", width=TEXT_WIDTH)
    for name in ("number", "held-out number", "off by", "latency"):
        table.add_column(name, justify="right")
    errors: list[float] = []
    for sample, reply, latency in asked(lambda each: client.regress([text_of(each)], model=model), samples):
        result = reply.results[0]
        if isinstance(result, Regressed):
            error = result.value - (sample.value or 0.0)
            errors.append(abs(error))
            table.add_row(shown_text(sample), f"{result.value:.4g}", escape(sample.label), f"{error:+.3g}", latency)
        else:
            table.add_row(shown_text(sample), reason_of(result), escape(sample.label), "", latency)
        mean = f"{sum(errors) / len(errors):.3g}" if errors else "unknown"
        table.title = title(reply, f"mean absolute error {mean} on {len(errors)} held-out texts")
    return table
