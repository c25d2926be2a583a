"""Whole-word masking: what the model has to guess."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.pretraining.pieces import SpecialTokens

HIDDEN, REPLACED = 0.8, 0.1
"""Of the masked tokens: become [MASK], become any other token; the rest stay as they are (Devlin et al. 2019)."""


def mask_words(
    ids: NDArray[np.int32],
    words: NDArray[np.int64],
    share: float,
    special: SpecialTokens,
    generator: np.random.Generator,
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Masks each word as a whole with the probability `share`, and one word at least.

    Args:
        ids: Tokens of a batch, [rows, length].
        words: The number of each token's word within the batch, 0, 1, ...; -1 for what is never masked. As `ids`.

    Returns:
        The tokens that the model sees, and where it has to guess, both shaped as `ids`.
    """
    drawn = generator.random(int(words.max()) + 1)
    chosen = drawn < share
    chosen[drawn.argmin()] = True
    masked = (words >= 0) & chosen[words]
    fate = generator.random(ids.shape)
    seen = np.where(masked & (fate < HIDDEN), np.int32(special.mask), ids)
    replaced = masked & (fate >= HIDDEN) & (fate < HIDDEN + REPLACED)
    seen[replaced] = generator.choice(special.ordinary, int(replaced.sum()))
    return seen, masked
