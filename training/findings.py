"""What reading, cleaning and splitting noticed, before it is told."""

from __future__ import annotations

from dataclasses import dataclass

from training.cleaning import CleaningReport
from training.duplicates import DuplicateReport
from training.reading import Reading


@dataclass(frozen=True, slots=True)
class Findings:
    """What the stages before the split noticed."""

    reading: Reading
    cleaning: CleaningReport
    duplicates: DuplicateReport
    leaks: dict[tuple[str, str], list[tuple[int, int]]]
    label_variants: list[list[str]]
    dropped_classes: dict[str, int]
