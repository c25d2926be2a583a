"""Exact duplicates, label conflicts and near-duplicates."""

from __future__ import annotations

import statistics
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Literal

from training.dataset import Dataset, Example, Split
from training.look_alikes import LookAlikes, sketched
from training.numbers import SAME, Scale, as_text

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Conflict:
    """One text that occurs with several labels."""

    text: str
    labels: dict[str, int]
    rows: list[int]
    kept: str | None
    """The label that stayed, None when the rows were dropped, "" when all of them were kept."""


@dataclass(slots=True)
class DuplicateReport:
    """What was found; row lists are (dropped row, the row it repeats)."""

    exact: list[tuple[int, int]] = field(default_factory=list)
    near: list[tuple[int, int]] = field(default_factory=list)
    conflicts: list[Conflict] = field(default_factory=list)
    similar_with_other_label: int = 0


def identity(example: Example) -> str:
    """Key under which two examples count as the same text."""
    texts = (example.text, example.text_pair, example.negative)
    return folded("\0".join(text for text in texts if text is not None))


def folded(text: str) -> str:
    """The text compatibility-normalised, case-folded, with single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


class Newcomers:
    """Tells which texts may join the training rows of a data set."""

    def __init__(self, dataset: Dataset, threshold: float) -> None:
        """`threshold`: similarity from which a text counts as like a row of validation or test."""
        self._known = {identity(example) for example in dataset.train}
        self._held_out = LookAlikes(threshold)
        for example in (*dataset.validation, *dataset.test):
            self._held_out.add(sketched(identity(example)))

    def refusal(self, key: str) -> Literal["repeated", "like validation or test rows"] | None:
        """Why the text of this `identity` may not; None when it may, and from then on it is known."""
        if key in self._known:
            return "repeated"
        if self._held_out.find(sketched(key)):
            return "like validation or test rows"
        self._known.add(key)
        return None


def query_identity(example: Example) -> str:
    """Key under which two rows count as candidates of the same query, which is their first text."""
    return folded(example.text)


def drop_exact(
    examples: list[Example], policy: Literal["majority", "drop", "keep"], report: DuplicateReport
) -> list[Example]:
    """Keeps the first of equal rows and settles conflicts by `policy`. Splits given by the user are kept apart."""
    groups: dict[tuple[str, str], list[Example]] = defaultdict(list)
    order = {id(example): position for position, example in enumerate(examples)}
    for example in examples:
        groups[example.split or "", identity(example)].append(example)
    kept: list[Example] = []
    for group in groups.values():
        counts = Counter(example.label for example in group)
        if policy == "majority" and len(counts) > 1 and group[0].value is not None:
            kept.append(_median(group, counts, report))
            order[id(kept[-1])] = order[id(group[0])]
            continue
        label = next(iter(counts)) if len(counts) == 1 else _settle(group, counts, policy, report)
        if label is None:
            continue
        wanted = counts if label == "" else [label]
        first = {each: next(example for example in group if example.label == each) for each in wanted}
        report.exact += [(example.row, first[example.label].row) for example in group if example.label in first]
        kept += first.values()
    report.exact = [(row, original) for row, original in report.exact if row != original]
    return sorted(kept, key=lambda example: order[id(example)])


def _median(group: list[Example], counts: Counter[str], report: DuplicateReport) -> Example:
    """The first of the rows, with the median of their numbers."""
    value = statistics.median(example.value for example in group if example.value is not None)
    first = replace(group[0], value=value, label=as_text(value))
    report.exact += [(example.row, first.row) for example in group[1:]]
    report.conflicts.append(Conflict(first.text, dict(counts), [example.row for example in group], first.label))
    return first


def _settle(group: list[Example], counts: Counter[str], policy: str, report: DuplicateReport) -> str | None:
    (best, votes), *rest = counts.most_common()
    winner: str | None = ""
    if policy != "keep":
        winner = best if policy == "majority" and votes > rest[0][1] else None
    report.conflicts.append(Conflict(group[0].text, dict(counts), [example.row for example in group], winner))
    return winner


def drop_near(
    examples: list[Example],
    threshold: float,
    group_threshold: float,
    report: DuplicateReport,
    progress: Progress,
    first_texts: bool = False,
) -> tuple[list[Example], list[int]]:
    """Drops near-duplicates of one label (or about one number) and one split; ties looser look-alikes into groups.

    With `first_texts` those alone are compared, as of questions whose long answers would hide how they differ; only rows with
    the same second text then count as one.
    Returns the kept examples and, for each, the number of its group: rows of a group belong in one split.
    """
    index = LookAlikes(group_threshold)
    kept: list[Example] = []
    groups = Groups()
    tolerance = _tolerance(examples)
    for done, example in enumerate(examples):
        if done % 500 == 0:
            progress("looking for near-duplicates", done, len(examples))
        sketch = sketched(query_identity(example) if first_texts else identity(example))
        near = index.find(sketch)
        same = [p for p, s in near if s >= threshold and (not first_texts or _answers(kept[p]) == _answers(example))]
        agreeing = [p for p in same if _agree(kept[p], example, tolerance)]
        repeated = next((p for p in agreeing if kept[p].split == example.split), None)
        if repeated is not None:
            report.near.append((example.row, kept[repeated].row))
            continue
        report.similar_with_other_label += len(agreeing) < len(same)
        groups.add([other for other, _ in near])
        index.add(sketch)
        kept.append(example)
    progress("looking for near-duplicates", len(examples), len(examples))
    return kept, groups.numbers()


def tie_queries(examples: list[Example], group_threshold: float, progress: Progress) -> list[int]:
    """The number of each row's group: the candidates of a query, and of those that look like it, belong in one split."""
    places: dict[str, int] = {}
    query = [places.setdefault(query_identity(example), len(places)) for example in examples]
    groups = tied(list(places), group_threshold, progress)
    return [groups[place] for place in query]


def tied(texts: list[str], threshold: float, progress: Progress) -> list[int]:
    """The number of each text's group: look-alikes of folded texts share one."""
    index = LookAlikes(threshold)
    groups = Groups()
    for done, text in enumerate(texts):
        if done % 500 == 0:
            progress("looking for near-duplicates", done, len(texts))
        sketch = sketched(text)
        groups.add([other for other, _ in index.find(sketch)])
        index.add(sketch)
    progress("looking for near-duplicates", len(texts), len(texts))
    return groups.numbers()


class Groups:
    """Disjoint sets (union-find with path halving) over positions 0, 1, 2, ..."""

    def __init__(self) -> None:
        self._parent: list[int] = []

    def add(self, others: Iterable[int] = ()) -> None:
        """The next position, in a set with those others."""
        position = len(self._parent)
        self._parent.append(position)
        for other in others:
            self.join(position, other)

    def numbers(self) -> list[int]:
        """For each position the smallest one of its set."""
        return [self.find(position) for position in range(len(self._parent))]

    def find(self, position: int) -> int:
        """The smallest position of the set."""
        parent = self._parent
        while parent[position] != position:
            parent[position] = parent[parent[position]]
            position = parent[position]
        return position

    def join(self, one: int, other: int) -> None:
        """Unites two sets."""
        low, high = sorted((self.find(one), self.find(other)))
        self._parent[high] = low


def leaks(
    examples: Iterable[Example], key: Callable[[Example], str] = identity
) -> dict[tuple[str, str], list[tuple[int, int]]]:
    """Texts, as `key` tells them apart, that stand in two of the user's splits: (split, split) -> the first row of each in both.

    Rows without a split beside such as have one are training rows.
    """
    seen: dict[str, dict[Split, int]] = defaultdict(dict)
    for example in examples:
        seen[key(example)].setdefault(example.split or Split.TRAIN, example.row)
    found: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for one, other in combinations(Split, 2):
        for rows in seen.values():
            if one in rows and other in rows:
                found[one.value, other.value].append((rows[one], rows[other]))
    return dict(found)


def label_variants(examples: Iterable[Example]) -> list[list[str]]:
    """Label names that differ only in case, width or punctuation, and probably mean the same."""
    spellings: dict[str, set[str]] = defaultdict(set)
    for example in examples:
        for label in example.given:
            folded = unicodedata.normalize("NFKC", label).casefold()
            spellings["".join(filter(str.isalnum, folded)) or folded].add(label)
    return sorted(sorted(names) for names in spellings.values() if len(names) > 1)


def _answers(example: Example) -> tuple[str | None, str | None]:
    return example.text_pair, example.negative


def _agree(one: Example, other: Example, tolerance: float) -> bool:
    if one.value is None or other.value is None:
        return one.label == other.label
    return abs(one.value - other.value) <= tolerance


def _tolerance(examples: list[Example]) -> float:
    """What the numbers of near-duplicates may differ by; 0 without numbers."""
    scale = Scale.of([example.value for example in examples if example.value is not None] or [0.0])
    return SAME * scale.deviation if scale is not None else 0.0
