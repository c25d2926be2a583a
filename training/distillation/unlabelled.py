"""Texts without labels: read and cleaned as labelled ones, and kept away from what the student is judged by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from training.cleaning import clean
from training.data_settings import DataSettings
from training.dataset import Example, Split
from training.duplicates import Progress, held_out, identity
from training.look_alikes import sketched
from training.preparation import Prepared
from training.reading.texts import read_texts


@dataclass(frozen=True, slots=True)
class Unlabelled:
    """Texts that only teachers answer, and why others were left out -> how many."""

    examples: list[Example] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)


def read_unlabelled(paths: Sequence[str], settings: DataSettings, prepared: Prepared, progress: Progress) -> Unlabelled:
    """Reads files of any kind that data may have; columns are found as in labelled data, labels are not looked at.

    Left out are empty texts, those that stand in the training rows or were read before, and look-alikes of validation and test
    rows, by the similarity that keeps look-alikes in one split.

    Raises:
        UnreadableData: Naming file, line or column.
    """
    examples = [
        replace(example, split=Split.TRAIN)
        for path in paths
        for example in read_texts(Path(path), settings, prepared.pair)
    ]
    cleaned, report = clean(examples)
    left_out = Counter({"empty": len(report.empty), "repeated": 0, "like validation or test rows": 0})
    judged = held_out(prepared.dataset, settings.group_threshold)
    known = {identity(example) for example in prepared.dataset.train}
    kept: list[Example] = []
    for done, example in enumerate(cleaned):
        if done % 500 == 0:
            progress("comparing unlabelled texts", done, len(cleaned))
        key = identity(example)
        if key in known:
            left_out["repeated"] += 1
            continue
        known.add(key)
        if judged.find(sketched(key)):
            left_out["like validation or test rows"] += 1
            continue
        kept.append(example)
    progress("comparing unlabelled texts", len(cleaned), len(cleaned))
    return Unlabelled(kept, dict(left_out))
