"""Sends held-out texts to a model of numbers and lays its numbers out beside the true ones."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from services.clients import InferenceClient, Regressed, RegressReply
from services.quickstart.answers import TEXT_WIDTH, shown_text, text_of
from services.quickstart.samples import Sample


def number_answers(client: InferenceClient, model: str, samples: Sequence[Sample]) -> Table:
    """Asks for the samples' numbers one by one. Raises CallFailed."""
    table = Table(box=None, pad_edge=False, title_justify="left")
    table.add_column("text", no_wrap=True, overflow="ellipsis", max_width=TEXT_WIDTH)
    for name in ("number", "held-out number", "off by", "latency"):
        table.add_column(name, justify="right")
    client.regress([text_of(samples[0])], model=model)  # the first call also opens the connection
    errors: list[float] = []
    for sample in samples:
        begun = time.perf_counter()
        reply = client.regress([text_of(sample)], model=model)
        latency = f"{1000 * (time.perf_counter() - begun):.1f} ms"
        result = reply.results[0]
        if isinstance(result, Regressed):
            error = result.value - (sample.value or 0.0)
            errors.append(abs(error))
            table.add_row(shown_text(sample), f"{result.value:.4g}", escape(sample.label), f"{error:+.3g}", latency)
        else:
            reason = f"[red]{escape(result.details.reason)}[/]"
            table.add_row(shown_text(sample), reason, escape(sample.label), "", latency)
        table.title = _title(reply, errors)
    return table


def _title(reply: RegressReply, errors: Sequence[float]) -> str:
    mean = f"{sum(errors) / len(errors):.3g}" if errors else "unknown"
    served = f"{escape(reply.model)} version {reply.version}, {reply.variant}"
    return f"{served}: mean absolute error {mean} on {len(errors)} held-out texts"
