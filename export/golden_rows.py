"""Which rows become golden ones: few, chosen to differ, since each is computed at every load.

A kernel that is wrong on some processor may be wrong for long inputs alone, or for tokens whose embeddings are large; the first
rows of a file show neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from export.rows import Row
from training.han import is_han

MOST = 6


def golden_rows(rows: Sequence[Row], tokenizer_file: Path) -> list[Row]:
    """At most 6 rows, shortest first: the shortest, the longest, others spread over the lengths between, and where any holds
    Chinese that the model reads, at least one of those."""
    by_length = sorted(rows, key=lambda row: len(row.ids))
    chosen = np.linspace(0, len(by_length) - 1, min(MOST, len(by_length))).astype(int).tolist()
    tokenizer = Tokenizer.from_file(str(tokenizer_file))

    def chinese(place: int) -> bool:
        return any(map(is_han, tokenizer.decode(by_length[place].ids)))

    if not any(map(chinese, chosen)):
        found = [place for place in range(len(by_length)) if chinese(place)]
        if found:
            # neither the shortest nor the longest gives way
            chosen[len(chosen) // 2] = found[len(found) // 2]
    return [by_length[place] for place in sorted(chosen)]
