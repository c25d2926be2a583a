"""The special tokens around a text, or around and between a pair of texts, as the tokenizer's own post-processor sets them.

They are learned from one encoding, so that windows can be cut from token ids. The library's own overflow is not used: of
two long texts it makes every window of the one with every window of the other (a pair of 20 kilobytes each took 21
seconds), and windows beside a query that was tokenized before get wrong type ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding

from services.inference.prediction import Encoded

Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Tokens:
    """Special tokens that stand together: their ids and type ids."""

    ids: Ids
    types: Ids


NOTHING = Tokens(np.empty(0, np.int64), np.empty(0, np.int64))


@dataclass(frozen=True, slots=True)
class Template:
    """Special tokens before, between and behind texts, and the type id that each text's own tokens get."""

    gaps: tuple[Tokens, ...]
    types: tuple[int, ...]

    @classmethod
    def of(cls, encoding: Encoding) -> Template:
        """The template of a short text or pair. Raises ValueError when a text of it has no tokens."""
        gaps, types = [NOTHING], []
        tokens = zip(encoding.sequence_ids, encoding.ids, encoding.type_ids, strict=True)
        for sequence, group in groupby(tokens, lambda token: token[0]):
            _, ids, kinds = zip(*group, strict=True)
            if sequence is None:
                gaps[-1] = Tokens(np.array(ids, np.int64), np.array(kinds, np.int64))
            else:
                gaps.append(NOTHING)
                types.append(kinds[0])
        if len(types) != encoding.n_sequences:
            raise ValueError("the tokenizer makes no tokens of a letter")
        return cls(tuple(gaps), tuple(types))

    @property
    def special(self) -> int:
        """How many tokens it adds."""
        return sum(len(gap.ids) for gap in self.gaps)

    @property
    def before(self) -> int:
        """How many of them stand before the first text."""
        return len(self.gaps[0].ids)

    @property
    def behind(self) -> int:
        """How many stand behind the last."""
        return len(self.gaps[-1].ids)

    def fill(self, *texts: Ids) -> Encoded:
        """One window: the ids of each text, special tokens around and between them."""
        ids, types = [self.gaps[0].ids], [self.gaps[0].types]
        for text, kind, gap in zip(texts, self.types, self.gaps[1:], strict=True):
            ids += [text, gap.ids]
            types += [np.full(len(text), kind, np.int64), gap.types]
        return Encoded(np.concatenate(ids), np.concatenate(types) if len(texts) > 1 else None)
