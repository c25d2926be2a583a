"""Training rows of sentence encoders: each with one, two or more texts, as token ids."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset as TorchDataset
from transformers import PreTrainedTokenizerBase

from training.dataset import Example
from training.embedding.batches import EqualBatches, batches_of
from training.embedding.relations import relation_of
from training.encoding import EncodedDataset, EncodedExample, collator, encode


@dataclass(frozen=True, slots=True)
class EncodedRow:
    """The texts of a row, of a pair the two, then any number of negatives; `target` is its similarity or its label's index."""

    texts: tuple[EncodedExample, ...]
    target: float | int


class EncodedRows(TorchDataset[EncodedRow]):
    """The training rows, tokenized once, and how they are put into batches. `negatives`: texts of each row."""

    def __init__(
        self,
        examples: Sequence[Example],
        negatives: Sequence[Sequence[str]],
        targets: Sequence[float | int],
        tokenizer: PreTrainedTokenizerBase,
        max_length: int,
    ) -> None:
        def tokens(texts: Sequence[str]) -> EncodedDataset:
            return encode([Example(text, "") for text in texts], tokenizer, [0] * len(texts), max_length)

        columns = [tokens([example.text for example in examples])]
        if relation_of(examples) != "label":
            columns.append(tokens([example.text_pair or "" for example in examples]))
        distinct = sorted({text for row in negatives for text in row})
        known = dict(zip(distinct, tokens(distinct).rows, strict=True)) if distinct else {}
        self.rows = [
            EncodedRow((*(column[row] for column in columns), *(known[text] for text in negatives[row])), targets[row])
            for row in range(len(examples))
        ]
        self._columns = len(columns)
        self._examples = examples
        self._negatives = negatives

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> EncodedRow:
        return self.rows[index]

    def batches(self, batch_size: int, seed: int) -> EqualBatches:
        """Of each epoch."""
        return batches_of(self._examples, self._negatives, batch_size, seed)

    def collator(self, pad_token_id: int) -> Callable[[list[EncodedRow]], dict[str, Any]]:
        """Makes `columns`: padded batches of the first texts, of the second ones, and of all negatives; and `labels`."""
        collate_texts = collator(pad_token_id)
        columns = self._columns

        def collate(rows: list[EncodedRow]) -> dict[str, Any]:
            texts = [[row.texts[column] for row in rows] for column in range(columns)]
            if negatives := [text for row in rows for text in row.texts[columns:]]:
                texts.append(negatives)
            padded = [{k: v for k, v in collate_texts(each).items() if k != "labels"} for each in texts]
            return {"columns": padded, "labels": torch.from_numpy(np.array([row.target for row in rows]))}

        return collate
