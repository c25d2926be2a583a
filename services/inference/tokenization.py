"""Texts to token ids, by the bundle's tokenizer.json (Rust tokenizers)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from tokenizers import Encoding, Tokenizer

from services.inference.prediction import Encoded, Reading
from services.inference.queries import PLAIN, Options, TextInput, Truncation
from services.inference.template import Ids, Template

MAX_WINDOWS = 64

Piece = tuple[int, int]
"""Tokens [begin, end) of a text, special ones not counted."""


class TooManyTokens(Exception):
    """The text has more tokens than it may have."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"more than {limit} tokens")
        self.limit = limit


class Tokenization:
    """Reads texts for one model of `max_length` tokens (special tokens included). Thread-safe.

    Raises ValueError for a tokenizer whose special tokens leave no room for a text.
    """

    def __init__(self, file: Path, max_length: int) -> None:
        self._tokenizer = Tokenizer.from_file(str(file))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._single = Template.of(self._tokenizer.encode("a"))
        self._pair = Template.of(self._tokenizer.encode("a", "a"))
        self.vocabulary_size: int = self._tokenizer.get_vocab_size()
        self.max_length = max_length
        if max_length - self._pair.special < 2:
            raise ValueError(f"{self._pair.special} special tokens leave no room in {max_length}")

    def read(self, text: TextInput, options: Options = PLAIN, spans: bool = False) -> Reading:
        """A text or pair, cut or in windows as the options say. Releases the GIL while it works.

        Where a pair is read in windows, they are windows of the second text, see `pairs`; spans are those of the first.
        Raises TooManyTokens where the options forbid to cut, or allow fewer windows than it takes.
        """
        encoding = self._tokenizer.encode(text.text, text.text_pair)
        if len(encoding) <= self.max_length:
            return _whole(encoding, spans)
        if text.text_pair is None:
            return self._long(encoding, options, spans)
        if options.windows is not None:
            return self.pairs(text.text, options)(text.text_pair)
        return self._cut_pair(encoding, options, spans)

    def pairs(self, query: str, options: Options) -> Callable[[str], Reading]:
        """Reads candidates beside one query, which is tokenized here and now, once.

        The query may take half of the room beside the special tokens and is cut there; candidates are cut, or read in
        windows. Both may raise TooManyTokens, as `read`.
        """
        room = self.max_length - self._pair.special
        whole = self._ids(query)
        ((begin, end),) = _pieces(len(whole), room // 2, options, room // 2, windows=False)
        first, query_cut = whole[begin:end], len(whole) > end - begin

        def read(candidate: str) -> Reading:
            second, left = self._ids(candidate), room - len(first)
            pieces = _pieces(len(second), left, options, self.max_length)
            windows = [self._pair.fill(first, second[begin:end]) for begin, end in pieces]
            cut = query_cut or (len(second) > left and options.windows is None)
            return Reading(windows, sum(map(len, windows)), cut)

        return read

    def _long(self, encoding: Encoding, options: Options, spans: bool) -> Reading:
        before, behind = self._single.before, self._single.behind
        ids = np.array(encoding.ids, np.int64)[before : len(encoding) - behind]
        pieces = _pieces(len(ids), self.max_length - self._single.special, options, self.max_length)
        windows = [self._single.fill(ids[begin:end]) for begin, end in pieces]
        count, cut = sum(map(len, windows)), options.windows is None
        if not spans:
            return Reading(windows, count, cut)
        offsets, words = encoding.offsets, encoding.word_ids
        places = [slice(before + begin, before + end) for begin, end in pieces]
        head, tail = [None] * before, [None] * behind
        return Reading(
            windows,
            count,
            cut,
            [[*head, *offsets[place], *tail] for place in places],
            [[*head, *words[place], *tail] for place in places],
        )

    def _cut_pair(self, encoding: Encoding, options: Options, spans: bool) -> Reading:
        """The longer text is cut first, as the library does it (and so the trainer)."""
        if options.truncation is Truncation.ERROR:
            raise TooManyTokens(self.max_length)
        sizes = encoding.sequence_ids.count(0), encoding.sequence_ids.count(1)
        starts = self._pair.before, len(encoding) - self._pair.behind - sizes[1]
        ids = np.array(encoding.ids, np.int64)
        kept = _longest_first(*sizes, self.max_length - self._pair.special)
        pieces = [_cut(size, room, options) for size, room in zip(sizes, kept, strict=True)]
        places = [slice(start + begin, start + end) for start, (begin, end) in zip(starts, pieces, strict=True)]
        window = self._pair.fill(*(ids[place] for place in places))
        if not spans:
            return Reading([window], len(window), truncated=True)
        head, tail = [None] * self._pair.before, [None] * (len(window) - self._pair.before - kept[0])
        return Reading(
            [window],
            len(window),
            True,
            [[*head, *encoding.offsets[places[0]], *tail]],
            [[*head, *encoding.word_ids[places[0]], *tail]],
        )

    def _ids(self, text: str) -> Ids:
        return np.array(self._tokenizer.encode(text, add_special_tokens=False).ids, np.int64)


def _pieces(count: int, room: int, options: Options, limit: int, windows: bool = True) -> list[Piece]:
    """What of `count` tokens is read, `room` at a time. Raises TooManyTokens(limit) when it does not fit and must."""
    if count <= room:
        return [(0, count)]
    if windows and options.windows is not None:
        return _windows(count, room, options)
    if options.truncation is Truncation.ERROR:
        raise TooManyTokens(limit)
    return [_cut(count, room, options)]


def _cut(count: int, room: int, options: Options) -> Piece:
    return (count - room, count) if options.truncation is Truncation.LEFT else (0, room)


def _windows(count: int, room: int, options: Options) -> list[Piece]:
    """Windows of `room` tokens that overlap as asked; beside a long query by half of themselves at most."""
    windows = options.windows
    assert windows is not None
    overlap = room // 4 if windows.overlap is None else min(windows.overlap, room // 2)
    step = room - overlap
    needed = 1 + -(-(count - room) // step)
    most = min(windows.most or MAX_WINDOWS, MAX_WINDOWS)
    if needed > most:
        raise TooManyTokens(room + (most - 1) * step)
    return [(begin, min(begin + room, count)) for begin in range(0, needed * step, step)]


def _longest_first(first: int, second: int, room: int) -> tuple[int, int]:
    """How many tokens of each text of a pair are kept: both at least half of the room, or all that they have."""
    short, long = min(first, second), max(first, second)
    half = room // 2
    kept = (short, room - short) if short <= half else (half, room - half)
    assert kept[1] <= long
    return kept if first <= second else (kept[1], kept[0])


def _whole(encoding: Encoding, spans: bool) -> Reading:
    """The reading of a text that fits."""
    pair = encoding.n_sequences > 1
    types = np.array(encoding.type_ids, np.int64) if pair else None
    window = Encoded(np.array(encoding.ids, np.int64), types)
    if not spans:
        return Reading([window], len(window), truncated=False)
    words = encoding.word_ids
    if pair:
        words = [word if of == 0 else None for word, of in zip(words, encoding.sequence_ids, strict=True)]
    places = [place if word is not None else None for place, word in zip(encoding.offsets, words, strict=True)]
    return Reading([window], len(window), False, [places], [words])
