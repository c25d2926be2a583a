"""Nodes that lay the characters of all texts in one line, normalised, and mark where words begin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from export.text_graph.characters import NOTHING, SPACE, Characters
from export.text_graph.nodes import CONTRIBUTED, Nodes


@dataclass(frozen=True, slots=True)
class Line:
    """Names of vectors over all characters of all texts, white space left out."""

    symbols: str
    begins: str
    """Whether a word begins there."""
    texts: str
    """Position of the text that the character belongs to."""


def line_of(nodes: Nodes, texts: str, characters: Characters) -> Line:
    """Adds nodes from string [texts] to their line."""
    # string [texts, longest], padded with "", or [texts] where there is no character at all
    read = nodes.add(
        "Tokenizer", texts, domain=CONTRIBUTED, mark=0, mincharnum=1, pad_value="", tokenexp=characters.pattern
    )
    # what became of padding is nothing, which the last row says
    table = np.vstack([characters.table, np.full((1, characters.table.shape[1]), NOTHING)])
    keys = ["", *characters.keys]
    rows = np.array([len(characters.table), *range(1, len(characters.table))], np.int64)
    found = nodes.looked_up(nodes.vector(read), keys, rows, 0)
    codes = nodes.vector(nodes.add("Gather", nodes.constant(table), found))
    one = nodes.constant(1)
    columns = nodes.add("Div", nodes.size(codes), nodes.add("Max", nodes.size(texts), one))
    owners = nodes.add("Div", nodes.range(nodes.size(codes)), nodes.add("Max", columns, one))
    something = nodes.add("Not", nodes.add("Equal", codes, nodes.constant(NOTHING)))
    return _with_words(nodes, nodes.kept(codes, something), nodes.kept(owners, something))


def _with_words(nodes: Nodes, codes: str, owners: str) -> Line:
    """A word begins at what stands apart and right behind it, behind white space, and where a text begins."""
    # white space stands apart, too: -1 is odd, as are the codes of all that does
    apart = nodes.add("Equal", nodes.add("Mod", codes, nodes.constant(2)), nodes.constant(1))
    behind = nodes.joined(nodes.part(apart, 0, 1), nodes.part(apart, 0, -1))
    before = nodes.joined(nodes.add("Sub", nodes.part(owners, 0, 1), nodes.constant(1)), nodes.part(owners, 0, -1))
    other = nodes.add("Not", nodes.add("Equal", owners, before))
    begins = nodes.add("Or", nodes.add("Or", apart, behind), other)
    said = nodes.add("Not", nodes.add("Equal", codes, nodes.constant(SPACE)))
    symbols = nodes.add("Div", nodes.kept(codes, said), nodes.constant(2))
    return Line(symbols, nodes.kept(begins, said), nodes.kept(owners, said))
