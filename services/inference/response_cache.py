"""Results of texts that were computed before, so that they need not be computed again. Bounded; the oldest unused goes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.inference.prediction import Reading
from services.inference.queries import Options, TextInput, Truncation, Windows

ENTRY_BYTES = 512
"""What an entry costs besides its text and arrays, roughly."""

Key = tuple[str, str | None, Truncation, Windows | None]


@dataclass(frozen=True, slots=True)
class Remembered:
    """How a text was read, and the results of its windows."""

    reading: Reading
    rows: Sequence[Any]
    size: int


class ResponseCache:
    """Least recently used, within `max_bytes`. It belongs to one loaded version and variant, so its keys need not say."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._entries: OrderedDict[Key, Remembered] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, text: TextInput, options: Options) -> Remembered | None:
        """What is remembered of a text under these options."""
        key = _key(text, options)
        found = self._entries.get(key)
        if found is not None:
            self._entries.move_to_end(key)
        return found

    def put(self, text: TextInput, options: Options, reading: Reading, rows: Sequence[Any]) -> None:
        """Remembers a copy; what is larger than a tenth of the cache is not worth its place."""
        size = ENTRY_BYTES + 4 * len(text.text) + 4 * len(text.text_pair or "")
        size += sum(window.input_ids.nbytes for window in reading.windows) + sum(map(_size, rows))
        if size > self._max_bytes // 10:
            return
        key = _key(text, options)
        if (before := self._entries.pop(key, None)) is not None:
            self.bytes -= before.size
        self._entries[key] = Remembered(reading, [_copy(row) for row in rows], size)
        self.bytes += size
        while self.bytes > self._max_bytes:
            _, oldest = self._entries.popitem(last=False)
            self.bytes -= oldest.size


def _key(text: TextInput, options: Options) -> Key:
    return (text.text, text.text_pair, options.truncation, options.windows)


def _copy(row: Any) -> Any:
    """A row is a view of its whole batch, which it would keep in memory."""
    return tuple(map(_copy, row)) if isinstance(row, tuple) else row.copy()


def _size(row: Any) -> int:
    return sum(map(_size, row)) if isinstance(row, tuple) else int(row.nbytes)
