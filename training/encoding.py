"""From examples to token ids, and from token ids to padded batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import Sampler
from transformers import PreTrainedTokenizerBase

from training.dataset import Example
from training.epoch_generator import epoch_generator
from training.sampling import EpochRows
from training.tagging.words import reads_of

Target = int | np.int64 | NDArray[np.float32] | NDArray[np.int64]
UNREAD = -100
"""Target of a token that speaks for no word."""
MEGABATCH = 50
"""Batches are formed inside shuffled pools of this many batches: little padding, still a new order each epoch."""


@dataclass(frozen=True, slots=True)
class EncodedExample:
    """Token ids of one example, unpadded, and what is right of it: see `training.tasks.task.Task.truth`.

    `reads` are the positions of the tokens that speak for words, where words are labelled; the target then has one label each.
    In distillation also what the teachers answer, probabilities float32 [labels]. Where `labelled` is False that is all
    that is known, and `target` says nothing.
    """

    input_ids: list[int]
    token_type_ids: list[int]
    target: Target
    answer: NDArray[np.float32] | None = None
    labelled: bool = True
    reads: list[int] | None = None


class EncodedDataset(TorchDataset[EncodedExample]):
    """Examples of one split, tokenized once."""

    def __init__(self, rows: list[EncodedExample]) -> None:
        self.rows = rows
        self.lengths = [len(row.input_ids) for row in rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> EncodedExample:
        return self.rows[index]

    def collator(self, pad_token_id: int) -> Callable[[list[EncodedExample]], dict[str, Tensor]]:
        """Makes padded batches of rows."""
        return collator(pad_token_id)


def encode(
    examples: Sequence[Example], tokenizer: PreTrainedTokenizerBase, targets: Iterable[Target], max_length: int
) -> EncodedDataset:
    """Tokenizes, cutting at `max_length` tokens on the right (of a pair: the longer side first). One target an example."""
    pairs = [example.text_pair for example in examples]
    encoded = tokenizer(
        [example.text for example in examples],
        pairs if pairs and pairs[0] is not None else None,
        truncation="longest_first",
        max_length=max_length,
        padding=False,
        return_attention_mask=False,
        return_token_type_ids=True,
    )
    rows = zip(encoded["input_ids"], encoded["token_type_ids"], targets, map(reads_of, examples), strict=True)
    return EncodedDataset([EncodedExample(ids, types, target, reads=reads) for ids, types, target, reads in rows])


def token_counter(tokenizer: PreTrainedTokenizerBase) -> Callable[[list[str]], list[int]]:
    """Counts tokens without cutting, special tokens included."""

    def count(texts: list[str]) -> list[int]:
        encoded = tokenizer(texts, return_attention_mask=False, return_token_type_ids=False, verbose=False)
        return [len(ids) for ids in encoded["input_ids"]]

    return count


def collator(pad_token_id: int) -> Callable[[list[EncodedExample]], dict[str, Tensor]]:
    """Pads a batch on the right to its own longest row: int64 [batch, longest]; `labels` are the targets,
    where words are labelled int64 [batch, longest] with UNREAD at tokens that speak for none.

    Rows with teachers' answers make `answers` float32 [batch, labels] and `labelled` bool [batch], too.
    """

    def collate(rows: list[EncodedExample]) -> dict[str, Tensor]:
        longest = max(len(row.input_ids) for row in rows)
        ids = torch.full((len(rows), longest), pad_token_id, dtype=torch.int64)
        mask = torch.zeros((len(rows), longest), dtype=torch.int64)
        types = torch.zeros((len(rows), longest), dtype=torch.int64)
        for position, row in enumerate(rows):
            length = len(row.input_ids)
            ids[position, :length] = torch.tensor(row.input_ids)
            types[position, :length] = torch.tensor(row.token_type_ids)
            mask[position, :length] = 1
        labels = torch.from_numpy(_targets(rows, longest))
        batch = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types, "labels": labels}
        answers = [row.answer for row in rows if row.answer is not None]
        if answers:
            batch["answers"] = torch.from_numpy(np.stack(answers))
            batch["labelled"] = torch.tensor([row.labelled for row in rows])
        return batch

    return collate


def _targets(rows: Sequence[EncodedExample], longest: int) -> NDArray[np.float32] | NDArray[np.int64]:
    if rows[0].reads is None:
        return np.stack([np.asarray(row.target) for row in rows])
    targets = np.full((len(rows), longest), UNREAD, np.int64)
    for position, row in enumerate(rows):
        targets[position, row.reads] = row.target
    return targets


class LengthGroupedOrder(Sampler[int]):
    """Order of one epoch in which neighbours have similar lengths.

    It is a function of seed and epoch alone, never of the global random state, so that a run resumed in the middle of
    an epoch goes on with exactly the rows that the killed one had not seen. `drawn` says which rows, and how often.
    """

    def __init__(self, lengths: list[int], batch_size: int, seed: int, drawn: EpochRows | None = None) -> None:
        self._lengths = lengths
        self._drawn = drawn
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer before each epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths) if self._drawn is None else len(self._drawn)

    def __iter__(self) -> Iterator[int]:
        generator = epoch_generator(self._seed, self._epoch)
        drawn = range(len(self._lengths)) if self._drawn is None else self._drawn.rows(self._epoch)
        shuffled = [drawn[position] for position in torch.randperm(len(drawn), generator=generator).tolist()]
        pool = self._batch_size * MEGABATCH
        batches: list[list[int]] = []
        for start in range(0, len(shuffled), pool):
            rows = sorted(shuffled[start : start + pool], key=lambda row: -self._lengths[row])
            batches += [rows[i : i + self._batch_size] for i in range(0, len(rows), self._batch_size)]
        whole = [batch for batch in batches if len(batch) == self._batch_size]
        rest = [row for batch in batches if len(batch) < self._batch_size for row in batch]
        for position in torch.randperm(len(whole), generator=generator).tolist():
            yield from whole[position]
        yield from rest


def sorted_batches(dataset: EncodedDataset, batch_size: int) -> Iterator[tuple[list[int], list[EncodedExample]]]:
    """Positions and rows in order of length, for evaluation."""
    order = sorted(range(len(dataset)), key=lambda row: dataset.lengths[row])
    for start in range(0, len(order), batch_size):
        positions = order[start : start + batch_size]
        yield positions, [dataset[position] for position in positions]


def chosen_max_length(dataset_lengths: list[int], limit: int) -> int:
    """Length that 99.9 % of the rows fit in, a multiple of 8 within 64..256 and the encoder's limit."""
    ordered = sorted(dataset_lengths)
    needed = ordered[min(len(ordered) - 1, int(len(ordered) * 0.999))]
    return min(limit, max(64, min(256, -(-needed // 8) * 8)))
