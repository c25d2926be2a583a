"""Texts as token ids, cut into pieces that a sequence holds; every token is in exactly one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from training.duplicates import Progress
from training.failures import InvalidSettings

CHUNK = 2_000


@dataclass(frozen=True, slots=True)
class SpecialTokens:
    """Ids of what is no text: before and after each piece, around a batch's shorter rows, in place of what is masked."""

    first: int
    last: int
    pad: int
    mask: int
    ordinary: NDArray[np.int32]
    """All other ids."""


@dataclass(frozen=True)
class Pieces:
    """Flat arrays: piece p holds the tokens `begins[p]` to `begins[p + 1]`, without special ones.

    `ids` int32 [tokens]; `word_starts` bool [tokens] is True where a word, or a piece, begins; `begins` int64 [pieces + 1].
    """

    ids: NDArray[np.int32]
    word_starts: NDArray[np.bool_]
    begins: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.begins) - 1

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each piece with the two special ones around it, int64 [pieces]."""
        return np.diff(self.begins) + 2


def special_tokens(tokenizer: PreTrainedTokenizerBase, model: str) -> SpecialTokens:
    """Raises InvalidSettings for a tokenizer that masks nothing, such as GPT-2's."""
    ids = (tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.pad_token_id, tokenizer.mask_token_id)
    if any(each is None for each in ids):
        raise InvalidSettings(f"the model {model!r} was not made for masked words: give one such as BERT or RoBERTa")
    first, last, pad, mask = map(int, ids)
    special = set(tokenizer.all_special_ids)
    ordinary = np.array([each for each in range(len(tokenizer)) if each not in special], np.int32)
    return SpecialTokens(first, last, pad, mask, ordinary)


def cut(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, max_length: int, progress: Progress) -> Pieces:
    """Pieces of at most `max_length` tokens, special ones included, in the texts' order; a text without a token has none."""
    room = max_length - 2
    ids: list[NDArray[np.int32]] = []
    starts: list[NDArray[np.bool_]] = []
    lengths: list[int] = []
    for begin in range(0, len(texts), CHUNK):
        progress("counting tokens", begin, len(texts))
        batch = tokenizer(list(texts[begin : begin + CHUNK]), add_special_tokens=False, verbose=False)
        for encoding in batch.encodings:
            words = np.array(encoding.word_ids, np.int64)
            start = np.ones(len(words), np.bool_)
            start[1:] = words[1:] != words[:-1]
            start[::room] = True
            ids.append(np.array(encoding.ids, np.int32))
            starts.append(start)
            lengths += [min(room, len(words) - at) for at in range(0, len(words), room)]
    progress("counting tokens", len(texts), len(texts))
    begins = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
    return Pieces(np.concatenate(ids), np.concatenate(starts), begins)
