"""Chance in the order of an epoch: a function of seed and epoch alone, never of the global random state.

So a run resumed in the middle of an epoch goes on with exactly the rows that the killed one had not seen.
"""

from __future__ import annotations

import torch

SEEDS_APART = 100_003
"""More than there are epochs: no epoch of a seed repeats one of the next."""


def epoch_generator(seed: int, epoch: int) -> torch.Generator:
    """A new generator, which starts anew for each epoch."""
    return torch.Generator().manual_seed(seed * SEEDS_APART + epoch)
