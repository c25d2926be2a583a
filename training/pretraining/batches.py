"""The batches of a run, each a function of its number and the seed alone, so that a resumed run sees what it would have seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from training.pretraining.batching import Batch, grouped
from training.pretraining.masking import mask_words
from training.pretraining.pieces import Pieces, SpecialTokens

Inputs = dict[str, Tensor]
"""`input_ids` and `attention_mask` int64 [rows, length]; `masked` bool [rows, length]; `labels` int64 [masked]: what the masked
tokens are, row by row."""


@dataclass(frozen=True, slots=True)
class Masking:
    """What a batch is made with."""

    share: float
    special: SpecialTokens
    seed: int


class Batches(TorchDataset[Inputs]):
    """Batches without end: pass after pass over the pieces, each in another arrangement and with other words masked."""

    def __init__(self, pieces: Pieces, batch_tokens: int, masking: Masking) -> None:
        self._pieces = pieces
        self._batch_tokens = batch_tokens
        self._masking = masking
        self._pass = 0
        self._begin = 0
        self._arranged = self._arrangement(0)
        self.in_first_pass = len(self._arranged)

    def __getitem__(self, number: int) -> Inputs:
        if number < self._begin:
            self._pass, self._begin, self._arranged = 0, 0, self._arrangement(0)
        while number >= self._begin + len(self._arranged):
            self._begin += len(self._arranged)
            self._pass += 1
            self._arranged = self._arrangement(self._pass)
        return collate(self._arranged[number - self._begin], self._pieces, self._masking, number)

    def _arrangement(self, number: int) -> list[Batch]:
        return grouped(self._pieces.lengths, self._batch_tokens, np.random.default_rng((self._masking.seed, 0, number)))


def collate(batch: Batch, pieces: Pieces, masking: Masking, number: int) -> Inputs:
    """Lays the pieces into rows, padded on the right to the longest, and masks words."""
    special = masking.special
    longest = int(pieces.lengths[batch].max())
    ids = np.full((len(batch), longest), special.pad, np.int32)
    words = np.full((len(batch), longest), -1, np.int64)
    attention = np.zeros((len(batch), longest), np.int64)
    count = 0
    for row, piece in enumerate(batch):
        tokens = slice(int(pieces.begins[piece]), int(pieces.begins[piece + 1]))
        end = tokens.stop - tokens.start + 2
        ids[row, 0], ids[row, end - 1] = special.first, special.last
        ids[row, 1 : end - 1] = pieces.ids[tokens]
        words[row, 1 : end - 1] = count - 1 + np.cumsum(pieces.word_starts[tokens])
        count = int(words[row, end - 2]) + 1
        attention[row, :end] = 1
    seen, masked = mask_words(ids, words, masking.share, special, np.random.default_rng((masking.seed, 1, number)))
    return {
        "input_ids": torch.from_numpy(seen.astype(np.int64)),
        "attention_mask": torch.from_numpy(attention),
        "masked": torch.from_numpy(masked),
        "labels": torch.from_numpy(ids[masked].astype(np.int64)),
    }
