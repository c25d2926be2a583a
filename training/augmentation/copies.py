"""Copies of training rows: which kind each is, what is not good enough to be one, and where they are kept.

A copy is a function of the row, the seed and its number, whatever other rows there are (back-translation apart, whose draws are
those of a batch of texts). Models take hours for them: what they have said is kept as they go.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from zlib import crc32

import numpy as np
from pydantic import BaseModel, ConfigDict

from training.augmentation.kinds import Change
from training.augmentation.quotas import copies_of_rows
from training.augmentation.settings import AugmentationSettings, Kind
from training.dataset import Dataset, Example
from training.duplicates import Newcomers, Progress, identity
from training.records import read_record, write_record
from training.run import AugmentationRecord
from training.typos import Random

AT_ONCE = 256
"""Copies that are lost by a kill at most."""
LEFT_OUT = ("unchanged", "repeated", "like validation or test rows")


class Copy(BaseModel):
    """A training row, by its place among them, in other words."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    row: int
    kind: Kind
    text: str
    text_pair: str | None

    def of(self, example: Example) -> Example:
        """The row with the copy's texts; the kind stands among its extra columns."""
        return replace(
            example, text=self.text, text_pair=self.text_pair, extra={**example.extra, "augmentation": self.kind}
        )


class Copies(BaseModel):
    """All copies of a data set's training rows, and what is told of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data_fingerprint: str
    copies: list[Copy]
    left_out: dict[str, int]

    def rows(self, train: Sequence[Example]) -> list[Example]:
        """The copies as rows."""
        return [copy.of(train[copy.row]) for copy in self.copies]

    def record(self, train: Sequence[Example]) -> AugmentationRecord:
        """How many there are, and of what."""
        return AugmentationRecord(
            copies=len(self.copies),
            kinds=dict(sorted(Counter(copy.kind for copy in self.copies).items())),
            labels=dict(sorted(Counter(label for copy in self.copies for label in train[copy.row].given).items())),
            left_out=self.left_out,
        )


def kept_copies(path: Path, dataset: Dataset) -> Copies | None:
    """Those that an attempt which was cut off has left; None where there are none of this data."""
    found = read_record(path, Copies)
    return found if found is not None and found.data_fingerprint == dataset.fingerprint else None


def keep_copies(path: Path, copies: Copies) -> None:
    """As a whole or not at all."""
    write_record(path, copies)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The copy number `number` of a row, and the kinds that are tried for it, one after the other."""

    row: int
    kinds: tuple[Kind, ...]
    mark: tuple[int, ...]

    def random(self, turn: int) -> Random:
        """What its kind number `turn` draws from, whatever those before have drawn."""
        return np.random.default_rng([*self.mark, turn])


def make_copies(
    dataset: Dataset,
    settings: AugmentationSettings,
    changes: Mapping[Kind, Change],
    alike: float,
    seed: int,
    progress: Progress,
    kept: Path,
) -> Copies:
    """Copies of the training rows. `alike`: similarity from which a copy counts as a look-alike of a held-out row.

    What is made stays in the folder `kept`, from which the attempt after one that was cut off goes on.
    Left out is what no kind can change, what stands among rows and copies already, and look-alikes of validation and test rows.
    """
    kept.mkdir(exist_ok=True)
    newcomers = Newcomers(dataset, alike)
    open_ones = _wanted(dataset.train, settings, seed)
    total = len(open_ones)
    found: list[Copy] = []
    reasons: dict[int, str] = {}
    for turn in range(len(settings.kinds)):
        remaining: list[Wanted] = []
        progress("varying training rows", len(found), total)
        for tried in _tried(dataset, open_ones, turn, settings, changes, kept):
            for one, copy in tried:
                original = dataset.train[one.row]
                key = identity(copy.of(original))
                refusal = "unchanged" if key == identity(original) else newcomers.refusal(key)
                if refusal is None:
                    found.append(copy)
                else:
                    reasons[id(one)] = refusal
                    remaining.append(one)
            progress("varying training rows", len(found), total)
        open_ones = remaining
    progress("varying training rows", total, total)
    counts = Counter(reasons[id(one)] for one in open_ones)
    left_out = {reason: counts[reason] for reason in LEFT_OUT}
    ordered = sorted(found, key=lambda copy: copy.row)
    return Copies(data_fingerprint=dataset.fingerprint, copies=ordered, left_out=left_out)


def _wanted(train: Sequence[Example], settings: AugmentationSettings, seed: int) -> list[Wanted]:
    wanted = []
    kinds = settings.kinds
    for row, copies in enumerate(copies_of_rows([example.label for example in train], settings)):
        mark = (seed, crc32(identity(train[row]).encode()))
        first = int(np.random.default_rng(mark).integers(len(kinds)))
        for number in range(copies):
            start = (first + number) % len(kinds)
            wanted.append(Wanted(row, (*kinds[start:], *kinds[:start]), (*mark, number)))
    return wanted


def _tried(
    dataset: Dataset,
    open_ones: Sequence[Wanted],
    turn: int,
    settings: AugmentationSettings,
    changes: Mapping[Kind, Change],
    kept: Path,
) -> Iterator[list[tuple[Wanted, Copy]]]:
    """What the kinds whose turn it is make, good or not, some at a time."""
    groups: dict[Kind, list[Wanted]] = defaultdict(list)
    for one in open_ones:
        groups[one.kinds[turn]].append(one)
    for kind, wanted in groups.items():
        for start in range(0, len(wanted), AT_ONCE):
            some = wanted[start : start + AT_ONCE]
            path = kept / f"{turn}-{kind}-{start}.json"
            made = kept_copies(path, dataset)
            if made is None:
                copies = _changed(dataset.train, some, kind, changes[kind], turn, settings.probability)
                made = Copies(data_fingerprint=dataset.fingerprint, copies=copies, left_out={})
                keep_copies(path, made)
            yield list(zip(some, made.copies, strict=True))


def _changed(
    train: Sequence[Example], wanted: Sequence[Wanted], kind: Kind, change: Change, turn: int, probability: float
) -> list[Copy]:
    randoms = [one.random(turn) for one in wanted]
    texts = change.changed([train[one.row].text for one in wanted], randoms, probability)
    having = [i for i, one in enumerate(wanted) if train[one.row].text_pair is not None]
    pairs = change.changed(
        [train[wanted[i].row].text_pair or "" for i in having], [randoms[i] for i in having], probability
    )
    second = dict(zip(having, pairs, strict=True))
    return [
        Copy(row=one.row, kind=kind, text=text, text_pair=second.get(i))
        for i, (one, text) in enumerate(zip(wanted, texts, strict=True))
    ]
