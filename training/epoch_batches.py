"""Batches that are composed, for losses that compare the rows of a batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
from torch.utils.data import Sampler

from training.epoch_generator import epoch_generator


class EpochBatches(Sampler[list[int]], ABC):
    """Positions of the rows of each batch. `batch_size` and `drop_last` are what accelerate asks of it.

    The order is that of `epoch_generator`, and every epoch has the same number of batches.
    """

    def __init__(self, batch_size: int, seed: int) -> None:
        self.batch_size = batch_size
        self.drop_last = False
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer before each epoch."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self._batches(self._generator()))

    def _generator(self) -> torch.Generator:
        return epoch_generator(self._seed, self._epoch)

    @abstractmethod
    def __len__(self) -> int:
        """Batches of an epoch."""

    @abstractmethod
    def _batches(self, generator: torch.Generator) -> list[list[int]]:
        """As many as `len` says."""
