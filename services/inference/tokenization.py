"""Texts to token ids, by the bundle's tokenizer.json (Rust tokenizers)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from tokenizers import Encoding, Tokenizer

from services.inference.prediction import PLAIN, Encoded, Options, Reading, TextInput, Truncation

MAX_WINDOWS = 64


class TooManyTokens(Exception):
    """The text has more tokens than it may have."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"more than {limit} tokens")
        self.limit = limit


class Tokenization:
    """Reads texts for one model of `max_length` tokens (special tokens included). Thread-safe."""

    def __init__(self, file: Path, max_length: int) -> None:
        self._cut = {side: _tokenizer(file) for side in ("right", "left")}
        for side, tokenizer in self._cut.items():
            tokenizer.enable_truncation(max_length, strategy="longest_first", direction=side)
        self._right = self._cut["right"]
        self._whole = _tokenizer(file)
        self.vocabulary_size: int = self._whole.get_vocab_size()
        self.max_length = max_length

    def read(self, text: TextInput, options: Options = PLAIN, spans: bool = False) -> Reading:
        """A text or pair, cut or in windows as the options say. Releases the GIL while it works.

        Raises TooManyTokens where the options forbid to cut, or allow fewer windows than it takes.
        """
        encoding = self._right.encode(text.text, text.text_pair)
        if not encoding.overflowing:
            return _reading([encoding], truncated=False, spans=spans)
        if options.windows is not None:
            if text.text_pair is not None:
                return self.pairs(text.text, options)(text.text_pair)
            room = self.max_length - self._whole.num_special_tokens_to_add(False)
            chunks = _chunks(self._whole.encode(text.text, add_special_tokens=False), room, options)
            return _reading([self._whole.post_process(chunk) for chunk in chunks], truncated=False, spans=spans)
        if options.truncation is Truncation.ERROR:
            raise TooManyTokens(self.max_length)
        if options.truncation is Truncation.LEFT:
            encoding = self._cut["left"].encode(text.text, text.text_pair)
        return _reading([encoding], truncated=True, spans=spans)

    def pairs(self, query: str, options: Options) -> Callable[[str], Reading]:
        """Reads candidates beside one query, which is tokenized here and now, once.

        The query may take half of the model's length and is cut there; candidates are cut, or read in windows. Both may
        raise TooManyTokens, as `read`.
        """
        half = self.max_length // 2
        first = self._whole.encode(query, add_special_tokens=False)
        query_cut = len(first) > half
        if query_cut:
            if options.truncation is Truncation.ERROR:
                raise TooManyTokens(half)
            first.truncate(half, direction=_side(options))
        room = self.max_length - self._whole.num_special_tokens_to_add(True) - len(first)

        def read(candidate: str) -> Reading:
            second = self._whole.encode(candidate, add_special_tokens=False)
            long = len(second) > room
            if long and options.windows is not None:
                windows = [self._whole.post_process(first, chunk) for chunk in _chunks(second, room, options)]
                return _reading(windows, truncated=query_cut, spans=False)
            if long and options.truncation is Truncation.ERROR:
                raise TooManyTokens(self.max_length)
            if long:
                second.truncate(room, direction=_side(options))
            return _reading([self._whole.post_process(first, second)], truncated=long or query_cut, spans=False)

        return read


def _tokenizer(file: Path) -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _side(options: Options) -> str:
    return "left" if options.truncation is Truncation.LEFT else "right"


def _chunks(encoding: Encoding, room: int, options: Options) -> Sequence[Encoding]:
    """Pieces of `room` tokens, special ones not counted, that overlap as asked."""
    windows = options.windows
    assert windows is not None
    overlap = room // 4 if windows.overlap is None else min(windows.overlap, room - 1)
    encoding.truncate(room, stride=overlap)
    chunks = [encoding, *encoding.overflowing]
    most = min(windows.most or MAX_WINDOWS, MAX_WINDOWS)
    if len(chunks) > most:
        raise TooManyTokens(room + (most - 1) * (room - overlap))
    return chunks


def _reading(encodings: Sequence[Encoding], *, truncated: bool, spans: bool) -> Reading:
    windows = [_encoded(each) for each in encodings]
    count = len(windows[0]) if len(windows) == 1 else sum(map(len, windows))
    if not spans:
        return Reading(windows, count, truncated)
    words = [_words(each) for each in encodings]
    places = [
        [span if word is not None else None for span, word in zip(each.offsets, numbers, strict=True)]
        for each, numbers in zip(encodings, words, strict=True)
    ]
    return Reading(windows, count, truncated, places, words)


def _words(encoding: Encoding) -> list[int | None]:
    """Numbers of the words of the first text; None for special tokens and for the second text of a pair."""
    if encoding.n_sequences <= 1:
        return list(encoding.word_ids)
    return [
        word if sequence == 0 else None for word, sequence in zip(encoding.word_ids, encoding.sequence_ids, strict=True)
    ]


def _encoded(encoding: Encoding) -> Encoded:
    types = encoding.type_ids if encoding.n_sequences > 1 else None
    return Encoded(np.array(encoding.ids, np.int64), None if types is None else np.array(types, np.int64))
