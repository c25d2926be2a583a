"""Writes rows as a csv that `fit` reads: what is left of a data set after an audit, or after corrections."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from training.atomic_files import replace_file
from training.dataset import Example
from training.failures import InvalidSettings
from training.preparation import DistinctRows


def require_new_csv(path: Path, option: str, sources: Iterable[str]) -> None:
    """Raises InvalidSettings unless the path is a csv file that is none of the data's own files."""
    if path.suffix.casefold() != ".csv":
        raise InvalidSettings(f"{option} {path}: give a file that ends in .csv")
    taken = [Path(source) for source in sources if Path(source).exists()]
    if path.is_dir() or (path.exists() and any(path.samefile(source) for source in taken)):
        raise InvalidSettings(f"{option} {path}: this is the data itself, which is never changed; give another file")


def write_rows(rows: DistinctRows, examples: Iterable[Example], path: Path) -> None:
    """Writes the examples under the column names of their source, in UTF-8.

    Every cell is as it was read and cleaned: this file is for training, so nothing is guarded against spreadsheets.
    """
    columns = rows.reading.columns
    kept = list(examples)
    split = (columns.split or "split") if any(example.split is not None for example in kept) else None
    named = [name for name in (columns.text, columns.text_pair, columns.label, split) if name is not None]
    extra = dict.fromkeys(name for example in kept for name in example.extra if name not in named)

    def write(aside: Path) -> None:
        with aside.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, [*named, *extra], restval="", extrasaction="ignore")
            writer.writeheader()
            for example in kept:
                row = {**example.extra, columns.text: example.text}
                if columns.label is not None:
                    row[columns.label] = example.label
                if columns.text_pair is not None:
                    row[columns.text_pair] = example.text_pair or ""
                if split is not None:
                    row[split] = str(example.split or "")
                writer.writerow(row)

    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, write)
