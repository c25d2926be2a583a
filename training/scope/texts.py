"""The texts out of scope of a run: read, cleaned, without those that are in scope, and split as the others are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from training.cleaning import clean
from training.data_settings import DataSettings
from training.dataset import Dataset, Example, Split
from training.duplicates import DuplicateReport, Progress, drop_near, identity
from training.failures import UnusableData
from training.reading.texts import read_texts
from training.scope.settings import ScopeSettings
from training.splitting import fill_splits

FEWEST = 8
"""Distinct texts; of fewer no part could say anything."""
VALIDATION_FRACTION, TEST_FRACTION = 0.25, 0.25
"""Where the file says nothing: half of the texts are for learning."""


@dataclass(frozen=True, slots=True)
class OutsideTexts:
    """Texts that are none of the classes; their label is ""."""

    train: list[Example]
    validation: list[Example]
    test: list[Example]
    among_rows: int
    """Texts of the file that are labelled rows as well; they were left out."""

    def of(self, split: Split) -> list[Example]:
        """Those of one split."""
        return {Split.TRAIN: self.train, Split.VALIDATION: self.validation, Split.TEST: self.test}[split]


def outside_texts(
    scope: ScopeSettings, data: DataSettings, dataset: Dataset, pair: bool, progress: Progress
) -> OutsideTexts | None:
    """None where no such texts are known. Splits that the file names are kept; look-alikes never land in two of them.

    Raises UnreadableData or UnusableData, each naming what is wrong, where, and what to do.
    """
    if scope.path is None:
        return None
    cleaned, _ = clean(read_texts(Path(scope.path), data, pair))
    inside = {identity(row) for row in dataset.examples}
    distinct = list({identity(example): example for example in cleaned if identity(example) not in inside}.values())
    among = sum(identity(example) in inside for example in cleaned)
    kept, groups = drop_near(distinct, data.near_duplicate_threshold, data.group_threshold, DuplicateReport(), progress)
    if len(kept) < FEWEST:
        raise UnusableData(
            f"{scope.path}: {len(kept)} distinct texts are out of scope, too few to split ({among} more are labelled rows as "
            f"well); give {FEWEST} or more, or leave the file out"
        )
    shares = data.model_copy(update={"validation_fraction": VALIDATION_FRACTION, "test_fraction": TEST_FRACTION})
    return _parts(fill_splits(kept, groups, shares), among, scope)


def _parts(assigned: Sequence[Example], among: int, scope: ScopeSettings) -> OutsideTexts:
    train, validation, test = ([each for each in assigned if each.split is split] for split in Split)
    needed = {Split.TRAIN: scope.learns_from_texts, Split.VALIDATION: True, Split.TEST: True}
    for split, rows in zip(Split, (train, validation, test), strict=True):
        if needed[split] and not rows:
            raise UnusableData(
                f"{scope.path}: no text is left for the {split} split; add texts, or leave out the column"
            )
    return OutsideTexts(train, validation, test, among)
