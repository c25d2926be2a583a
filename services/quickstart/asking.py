"""Sends held-out rows to the server one by one; what the tables of their answers have alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from services.clients import ClassifyReply, ItemError, RegressReply, ScoreReply, TagReply

Row = TypeVar("Row")
Reply = TypeVar("Reply")


def asked(ask: Callable[[Row], Reply], rows: Sequence[Row]) -> Iterator[tuple[Row, Reply, str]]:
    """Each row, the reply to it, and the latency. Raises what `ask` raises."""
    ask(rows[0])  # the first call also opens the connection
    for row in rows:
        begun = time.perf_counter()
        reply = ask(row)
        yield row, reply, f"{1000 * (time.perf_counter() - begun):.1f} ms"


def empty_table(*texts: str, width: int) -> Table:
    """With columns of texts, each cut at `width` columns of the terminal; a Chinese character takes two."""
    table = Table(box=None, pad_edge=False, title_justify="left")
    for name in texts:
        add_text_column(table, name, width)
    return table


def add_text_column(table: Table, name: str, width: int) -> None:
    """One more."""
    table.add_column(name, no_wrap=True, overflow="ellipsis", max_width=width)


def on_one_line(text: str) -> str:
    """A text of the data, to be shown."""
    return escape(" ".join(text.split()))


def title(reply: ClassifyReply | RegressReply | ScoreReply | TagReply, said: str) -> Text:
    """The version that answered, and what is said of its answers; on one line, however narrow the table is."""
    who = f"{reply.model} version {reply.version}, {reply.variant}"
    return Text(f"{who}: {said}", style="table.title", no_wrap=True, overflow="ignore")


def reason_of(error: ItemError) -> str:
    """Why a text has no answer."""
    return f"[red]{escape(error.details.reason)}[/]"
