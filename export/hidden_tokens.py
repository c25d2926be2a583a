"""Whether an answer depends on tokens that the mask hides.

The mask must hide them wholly: whatever stands there, the answer is the same. Of int8 this says more than a comparison with the
checkpoint, since rounding, which moves logits as much as a wrong mask may, is the same on both sides. A file that counts real
tokens in place of reading the mask is right for padding on the right; left padding and holes show it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.awkward_shapes import told
from export.rows import Feed

Outputs = Callable[[Feed], NDArray[np.float32]]
SAME = 1e-4
SEED = 1


@dataclass(frozen=True, slots=True)
class HiddenTokens:
    """Batches with hidden tokens, each beside itself with other ones in their place."""

    pairs: dict[str, tuple[Feed, Feed]]

    @classmethod
    def of(cls, batches: Mapping[str, Feed], vocabulary: int, checkpoint: Outputs) -> HiddenTokens:
        """Those of the batches that hide tokens, and in which the checkpoint reads none of them. A RoBERTa counts its positions
        by the ids of padding, so that other ids on the left are another text to it."""
        random = np.random.default_rng(SEED)
        pairs = {}
        for name, batch in batches.items():
            hidden = batch["attention_mask"] == 0
            if not hidden.any():
                continue
            ids = np.where(hidden, random.integers(0, vocabulary, hidden.shape), batch["input_ids"])
            pairs[name] = (batch, {**batch, "input_ids": ids})
        return cls({name: pair for name, pair in pairs.items() if _leak(pair, checkpoint) <= SAME})

    def leak(self, outputs: Outputs) -> float:
        """The largest change of an output of a real token, or text, by what is hidden; 0 without such batches."""
        return max((_leak(pair, outputs) for pair in self.pairs.values()), default=0.0)


def _leak(pair: tuple[Feed, Feed], outputs: Outputs) -> float:
    one, other = (told(outputs(batch), batch) for batch in pair)
    return float(np.max(np.abs(one - other)))
