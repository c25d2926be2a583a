"""Nodes that turn tokens of texts, or of pairs of texts, into a padded batch with special tokens, cut to the model's length."""

from __future__ import annotations

from dataclasses import dataclass

from export.text_graph.nodes import Nodes
from export.text_graph.template import Template
from export.text_graph.tokens import Tokens


@dataclass(frozen=True, slots=True)
class Batch:
    """Names of what a model reads, each int64 [batch, longest]."""

    input_ids: str
    attention_mask: str
    token_type_ids: str


class Layout:
    """Where tokens go in a batch. `counts`: of each text of an example how many of its tokens are kept, int64 [batch]."""

    def __init__(self, nodes: Nodes, template: Template, counts: list[str], pad: int) -> None:
        self._nodes = nodes
        self._pad = pad
        self._template = template
        self.counts = counts
        self.size = nodes.size(counts[0])
        lengths = counts[0]
        for more in counts[1:]:
            lengths = nodes.add("Add", lengths, more)
        self.lengths = nodes.add("Add", lengths, nodes.constant(template.special))
        self.longest = nodes.add("ReduceMax", self.lengths, keepdims=0)

    def before(self, text: int) -> str:
        """Of each example the column of the first token of a text of it."""
        nodes, gaps = self._nodes, self._template.gaps
        column = nodes.alike(self.counts[0], sum(map(len, gaps[: text + 1])))
        for count in self.counts[:text]:
            column = nodes.add("Add", column, count)
        return column

    def batch(self, ids: str, places: str, segments: str) -> Batch:
        """`places`: of each kept token its place in the batch, row after row."""
        nodes = self._nodes
        rows, some = nodes.range(self.size), nodes.constant([-1])
        starts = nodes.add("Mul", rows, self.longest)
        all_places, all_ids, all_segments = [places], [ids], [segments]
        for number, gap in enumerate(self._template.gaps):
            # a gap stands right before its text, and the last one behind the last text
            ahead = number < len(self.counts)
            first = self.before(number) if ahead else nodes.add("Sub", self.lengths, nodes.constant(len(gap)))
            for offset, special in enumerate(gap):
                shift = nodes.constant(offset - len(gap) if ahead else offset)
                place = nodes.add("Add", nodes.add("Add", starts, first), shift)
                all_places.append(place)
                all_ids.append(nodes.alike(place, special.id))
                all_segments.append(nodes.alike(place, special.segment))
        where = nodes.add("Concat", *all_places, axis=0)
        shape = nodes.add("Concat", *(nodes.add("Reshape", each, some) for each in (self.size, self.longest)), axis=0)
        area = nodes.add("Mul", self.size, self.longest)

        def laid(values: list[str], empty: int) -> str:
            joined = nodes.add("Concat", *values, axis=0)
            flat = nodes.add("ScatterElements", nodes.filled(area, empty), where, joined, axis=0)
            return nodes.add("Reshape", flat, shape)

        columns = nodes.range(self.longest)
        inside = nodes.add("Less", columns, nodes.add("Reshape", self.lengths, nodes.constant([-1, 1])))
        return Batch(laid(all_ids, self._pad), nodes.cast(inside), laid(all_segments, 0))


def single_batch(nodes: Nodes, tokens: Tokens, template: Template, max_length: int, pad: int) -> Batch:
    """The batch of texts that stand alone; the end of a long one is cut."""
    kept = nodes.add("Min", tokens.counts, nodes.constant(max_length - template.special))
    layout = Layout(nodes, template, [kept], pad)
    inside = nodes.add("Less", tokens.places, nodes.add("Gather", kept, tokens.texts))
    ids, texts, places = (nodes.kept(each, inside) for each in (tokens.ids, tokens.texts, tokens.places))
    starts = nodes.add("Add", nodes.add("Mul", texts, layout.longest), nodes.constant(sum(map(len, template.gaps[:1]))))
    return layout.batch(ids, nodes.add("Add", starts, places), nodes.alike(ids, template.segments[0]))


def pair_batch(nodes: Nodes, tokens: Tokens, template: Template, max_length: int, pad: int) -> Batch:
    """The batch of pairs: `tokens` are those of all first texts, then of all second ones. The longer text is cut first, both
    to half of the room at most where both are long, as the library does it."""
    size = nodes.add("Div", nodes.size(tokens.counts), nodes.constant(2))
    edge = nodes.add("Reshape", size, nodes.constant([1]))
    zero, last = nodes.constant([0]), nodes.add("Shape", tokens.counts)
    first = nodes.add("Slice", tokens.counts, zero, edge, zero)
    second = nodes.add("Slice", tokens.counts, edge, last, zero)
    kept = _longest_first(nodes, first, second, max_length - template.special)
    layout = Layout(nodes, template, kept, pad)
    limits = nodes.add("Concat", *kept, axis=0)
    inside = nodes.add("Less", tokens.places, nodes.add("Gather", limits, tokens.texts))
    ids, texts, places = (nodes.kept(each, inside) for each in (tokens.ids, tokens.texts, tokens.places))
    begins = nodes.add("Concat", layout.before(0), layout.before(1), axis=0)
    rows = nodes.add("Mul", nodes.add("Mod", texts, size), layout.longest)
    starts = nodes.add("Add", rows, nodes.add("Gather", begins, texts))
    is_second = nodes.add("GreaterOrEqual", texts, size)
    segments = nodes.add("Where", is_second, *(nodes.constant(each) for each in reversed(template.segments)))
    return layout.batch(ids, nodes.add("Add", starts, places), segments)


def _longest_first(nodes: Nodes, first: str, second: str, room: int) -> list[str]:
    """How many tokens of each text are kept."""
    short, long = nodes.add("Min", first, second), nodes.add("Max", first, second)
    fits = nodes.add("LessOrEqual", nodes.add("Add", first, second), nodes.constant(room))
    cut_short = nodes.add("Where", fits, short, nodes.add("Min", short, nodes.constant(room // 2)))
    cut_long = nodes.add("Where", fits, long, nodes.add("Sub", nodes.constant(room), cut_short))
    first_is_short = nodes.add("LessOrEqual", first, second)
    return [
        nodes.add("Where", first_is_short, cut_short, cut_long),
        nodes.add("Where", first_is_short, cut_long, cut_short),
    ]
