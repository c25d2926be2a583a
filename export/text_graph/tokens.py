"""Nodes that turn texts into tokens as a WordPiece tokenizer does it, all characters of all texts at a time.

Every position of the text belongs to one of two kinds: it begins a word, or it could go on with one. From each, the longest
piece of that kind is found by walking the automaton, one character of all walks a step, until no walk goes on. A second loop
follows the pieces from the beginning of each word to its end: where no piece begins, the word is unknown.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from export.text_graph.characters import UNKNOWN, Characters
from export.text_graph.line import Line, line_of
from export.text_graph.nodes import Nodes
from export.text_graph.pieces import BEGINS, GOES_ON, Pieces
from export.text_graph.tokenizer_parts import TokenizerParts


@dataclass(frozen=True, slots=True)
class Tokens:
    """Names of vectors: ids of all tokens of all texts, in order, the text that each belongs to, its place there; and how many
    tokens each text has. Without special ones, nothing cut."""

    ids: str
    texts: str
    places: str
    counts: str


def tokens_of(nodes: Nodes, texts: str, parts: TokenizerParts) -> Tokens:
    """Adds nodes from string [texts] to tokens."""
    pieces = Pieces.of(parts.vocabulary, parts.prefix, parts.added)
    characters = Characters.of(parts.tokenizer, pieces.symbols, pieces.added)
    line = line_of(nodes, texts, characters)
    ids, emitted = _emitted(nodes, line, pieces, parts)
    ids, owners = nodes.kept(ids, emitted), nodes.kept(line.texts, emitted)
    none = nodes.filled(nodes.size(texts), 0)
    counts = nodes.add("ScatterElements", none, owners, nodes.alike(owners, 1), axis=0, reduction="add")
    before = nodes.add("CumSum", counts, nodes.constant(0), exclusive=1)
    places = nodes.add("Sub", nodes.range(nodes.size(ids)), nodes.add("Gather", before, owners))
    return Tokens(ids, owners, places, counts)


def _emitted(nodes: Nodes, line: Line, pieces: Pieces, parts: TokenizerParts) -> tuple[str, str]:
    """Of each position the id of the token that begins there, and whether one does."""
    lengths, ids = _longest(nodes, line, pieces)
    starts = nodes.kept(nodes.range(nodes.size(line.symbols)), line.begins)
    words = nodes.add("Sub", nodes.add("CumSum", nodes.cast(line.begins), nodes.constant(0)), nodes.constant(1))
    ends = nodes.joined(nodes.part(starts, 1), nodes.vector(nodes.size(line.symbols)))
    # where there is no word, the end of the line is the end of none
    ends = nodes.add("Slice", ends, nodes.constant([0]), nodes.add("Shape", starts), nodes.constant([0]))
    long = nodes.add("Greater", nodes.add("Sub", ends, starts), nodes.constant(parts.longest_word))
    reached, unknown = _followed(nodes, line, lengths, words, nodes.kept(starts, nodes.add("Not", long)))
    lost = nodes.add("Gather", nodes.add("Or", nodes.add("Greater", unknown, nodes.constant(0)), long), words)
    followed = nodes.add("And", nodes.add("Greater", reached, nodes.constant(0)), nodes.add("Not", lost))
    emitted = nodes.add("Or", followed, nodes.add("And", lost, line.begins))
    return nodes.add("Where", lost, nodes.constant(parts.vocabulary[parts.unknown]), ids), emitted


def _longest(nodes: Nodes, line: Line, pieces: Pieces) -> tuple[str, str]:
    """Of each position the length of the longest piece that begins there, 0 for none, and its id."""
    # a position behind the last, where a walk ends: its symbol leads nowhere
    closed, symbols = _closed(nodes, line), nodes.joined(line.symbols, nodes.constant([UNKNOWN]))
    everywhere = nodes.range(nodes.size(symbols))
    state = nodes.add("Where", closed, nodes.constant(BEGINS), nodes.constant(GOES_ON))
    nothing = nodes.filled(nodes.size(symbols), 0)
    body = Nodes("walk")
    read = body.add("Gather", symbols, "walk/at")
    target = body.looked_up(
        body.add("Add", body.add("Mul", "walk/state", body.constant(pieces.width)), read),
        pieces.keys,
        pieces.targets,
        -1,
    )
    alive = body.add("GreaterOrEqual", target, body.constant(0))
    origin, state_now = body.kept("walk/origin", alive), body.kept(target, alive)
    at = body.add("Add", body.kept("walk/at", alive), body.constant(1))
    ended = body.add("Gather", nodes.constant(pieces.ends), state_now)
    some = body.add("GreaterOrEqual", ended, body.constant(0))
    where, walked = body.kept(origin, some), body.kept(body.add("Sub", at, origin), some)
    inside = body.add("Not", body.add("Gather", closed, at))
    after = {
        "walk/origin": body.kept(origin, inside),
        "walk/at": body.kept(at, inside),
        "walk/state": body.kept(state_now, inside),
        "walk/lengths": body.add("ScatterElements", "walk/lengths", where, walked, axis=0),
        "walk/ids": body.add("ScatterElements", "walk/ids", where, body.kept(ended, some), axis=0),
    }
    goes_on = body.add("Greater", body.size(after["walk/origin"]), body.constant(0))
    start = dict(zip(after, (everywhere, everywhere, state, nothing, nothing), strict=True))
    *_, lengths, ids = nodes.loop(start, body, after, goes_on)
    return nodes.part(lengths, 0, -1), nodes.part(ids, 0, -1)


def _followed(nodes: Nodes, line: Line, lengths: str, words: str, starts: str) -> tuple[str, str]:
    """Of each position whether a token of a word begins there, and of each word whether it cannot be read to its end; 1 or 0.

    `starts`: where the words begin that are to be read.
    """
    closed = _closed(nodes, line)
    none = nodes.filled(nodes.size(line.symbols), 0)
    body = Nodes("follow")
    length = body.add("Gather", lengths, "follow/at")
    stuck = body.add("Equal", length, body.constant(0))
    lost = body.add("Gather", words, body.kept("follow/at", stuck))
    behind = body.add("Add", "follow/at", length)
    inside = body.add("Not", body.add("Or", stuck, body.add("Gather", closed, behind)))
    after = {
        "follow/at": body.kept(behind, inside),
        "follow/reached": body.add(
            "ScatterElements", "follow/reached", "follow/at", body.alike("follow/at", 1), axis=0
        ),
        "follow/unknown": body.add("ScatterElements", "follow/unknown", lost, body.alike(lost, 1), axis=0),
    }
    goes_on = body.add("Greater", body.size(after["follow/at"]), body.constant(0))
    # of each word there is one number; there are no more words than characters
    start = dict(zip(after, (starts, none, none), strict=True))
    _, reached, unknown = nodes.loop(start, body, after, goes_on)
    count = nodes.add("ReduceSum", nodes.cast(line.begins), keepdims=1)
    return reached, nodes.add("Slice", unknown, nodes.constant([0]), count, nodes.constant([0]))


def _closed(nodes: Nodes, line: Line) -> str:
    """Where a piece of a word before cannot go on: a word begins there, or the line is at its end."""
    return nodes.joined(line.begins, nodes.constant([True], np.bool_))
