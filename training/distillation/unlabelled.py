"""Texts without labels: read and cleaned as labelled ones, and kept away from what the student is judged by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from training.cleaning import clean
from training.data_settings import DataSettings
from training.dataset import Example, Split
from training.duplicates import Newcomers, Progress, identity
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
    newcomers = Newcomers(prepared.dataset, settings.group_threshold)
    kept: list[Example] = []
    for done, example in enumerate(cleaned):
        if done % 500 == 0:
            progress("comparing unlabelled texts", done, len(cleaned))
        refusal = newcomers.refusal(identity(example))
        if refusal is None:
            kept.append(example)
        else:
            left_out[refusal] += 1
    progress("comparing unlabelled texts", len(cleaned), len(cleaned))
    return Unlabelled(kept, dict(left_out))
