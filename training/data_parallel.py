"""Data-parallel training: processes that torchrun started train one model, each on its share of every batch.

All of them read, tokenize and score alike; what scores and clocks decide, the first one decides for all. What it writes stays,
the others write aside.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import distributed

from training.processes import process_count

LONGEST_WAIT = timedelta(days=1)
"""For one another: the others wait while the first one asks teachers or translates. torchrun ends them when one has failed."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process's place among those that train together; alone, unless torchrun started it."""

    rank: int = 0
    size: int = 1

    @classmethod
    def joined(cls) -> Ranks:
        """Those that torchrun's variables tell of, once all of them are there (torch.distributed, environment variables)."""
        size = process_count()
        if size == 1:
            return cls()
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo", timeout=LONGEST_WAIT)
        return cls(distributed.get_rank(), size)

    @property
    def first(self) -> bool:
        """Whether what this process writes stays."""
        return self.rank == 0

    def wait(self) -> None:
        """Until all have come here."""
        if self.size > 1:
            distributed.barrier()

    @contextmanager
    def first_before_others(self) -> Iterator[None]:
        """What is inside is done by the first process, then by the others; also when it fails."""
        if not self.first:
            self.wait()
        try:
            yield
        finally:
            if self.first:
                self.wait()

    def as_the_first(self, choice: bool) -> bool:
        """The first one's choice, for what each would decide by its own clock or scores."""
        if self.size == 1:
            return choice
        shared = torch.tensor([choice], dtype=torch.uint8, device="cuda" if torch.cuda.is_available() else "cpu")
        distributed.broadcast(shared, 0)
        return bool(shared.item())

    def leave(self) -> None:
        """Ends the group."""
        if self.size > 1:
            distributed.destroy_process_group()


ALONE = Ranks()
"""Training in this process alone."""
