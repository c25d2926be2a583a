"""The special tokens that a tokenizer sets around a text, or around and between two, learned from what it does with a letter."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from tokenizers import Encoding

from export.failures import ExportFailure


@dataclass(frozen=True, slots=True)
class Special:
    """A special token and its segment."""

    id: int
    segment: int


@dataclass(frozen=True, slots=True)
class Template:
    """Special tokens before, between and behind the texts, and the segment of each text's own tokens."""

    gaps: tuple[tuple[Special, ...], ...]
    segments: tuple[int, ...]

    @classmethod
    def of(cls, encoding: Encoding) -> Template:
        """The template of one letter, or of a pair of them. Raises ExportFailure when a letter makes no token."""
        gaps: list[tuple[Special, ...]] = [()]
        segments: list[int] = []
        tokens = zip(encoding.sequence_ids, encoding.ids, encoding.type_ids, strict=True)
        for sequence, group in groupby(tokens, lambda token: token[0]):
            found = [Special(number, segment) for _, number, segment in group]
            if sequence is None:
                gaps[-1] = tuple(found)
            else:
                gaps.append(())
                segments.append(found[0].segment)
        if len(segments) != encoding.n_sequences:
            raise ExportFailure("the tokenizer makes no token of a letter: there is nothing to put into a graph")
        return cls(tuple(gaps), tuple(segments))

    @property
    def special(self) -> int:
        """How many tokens it adds."""
        return sum(map(len, self.gaps))
