"""The texts out of scope of a run, before it trains: read, told to whoever watches, tokenized."""

from __future__ import annotations

from rich.console import Console

from training.dataset import Split
from training.encoding import encode
from training.model_making import Tokenization
from training.preparation import Prepared
from training.progress import listener
from training.scope.exposure import OUTSIDE
from training.scope.judging import Rows
from training.scope.texts import OutsideTexts, outside_texts
from training.settings import FineTuneSettings


def read_outside(settings: FineTuneSettings, prepared: Prepared, console: Console) -> OutsideTexts | None:
    """The texts out of scope; None where none are known."""
    if settings.out_of_scope is None:
        return None
    with listener(console) as progress:
        outside = outside_texts(settings.out_of_scope, settings.data, prepared.dataset, prepared.pair, progress)
    if outside is None:
        return None
    counts = ", ".join(f"{len(outside.of(split)):,} {split}" for split in Split)
    also = f"; {outside.among_rows:,} that are labelled rows as well were left out" if outside.among_rows else ""
    console.print(f"texts out of scope: {counts}{also}", highlight=False)
    return outside


def encoded_outside(outside: OutsideTexts, tokenization: Tokenization, max_length: int) -> Rows:
    """Token ids of the same."""
    return Rows(
        *(encode(rows, tokenization.tokenizer, [OUTSIDE] * len(rows), max_length) for rows in map(outside.of, Split))
    )
