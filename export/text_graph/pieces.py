"""A WordPiece vocabulary as an automaton: from a state and a character to the next state, and which states end a piece."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BEGINS, GOES_ON = 0, 1
"""The states before the first character of a piece that begins a word, and of one that goes on with it."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """Transitions: `keys` are state * width + symbol, `targets` the states that they lead to."""

    symbols: dict[str, int]
    """Of each character of the vocabulary its number, from 1."""
    added: dict[str, int]
    """The same of tokens that are read as if they were one character."""
    keys: NDArray[np.int64]
    targets: NDArray[np.int64]
    ends: NDArray[np.int64]
    """Of each state the id of the piece that ends there, -1 where none does."""

    @property
    def width(self) -> int:
        """More than any symbol."""
        return 1 + len(self.symbols) + len(self.added)

    @classmethod
    def of(cls, vocabulary: dict[str, int], prefix: str, added: dict[str, int]) -> Pieces:
        """`added`: tokens that are cut out of the text, and their ids."""
        found = dict.fromkeys(character for piece in vocabulary for character in piece)
        symbols = {character: number for number, character in enumerate(found, start=1)}
        whole = {token: number for number, token in enumerate(added, start=1 + len(symbols))}
        width = 1 + len(symbols) + len(whole)
        states: dict[int, int] = {}
        ends = [-1, -1]

        def learn(start: int, numbers: list[int], piece: int) -> None:
            state = start
            for number in numbers:
                key = state * width + number
                if key not in states:
                    states[key] = len(ends)
                    ends.append(-1)
                state = states[key]
            ends[state] = piece

        for piece, number in vocabulary.items():
            if piece:
                learn(BEGINS, [symbols[character] for character in piece], number)
            if prefix and piece.startswith(prefix) and len(piece) > len(prefix):
                learn(GOES_ON, [symbols[character] for character in piece[len(prefix) :]], number)
        for token, number in added.items():
            learn(BEGINS, [whole[token]], number)
        keys = np.fromiter(states, np.int64, len(states))
        targets = np.fromiter(states.values(), np.int64, len(states))
        return cls(symbols, whole, keys, targets, np.array(ends, np.int64))
