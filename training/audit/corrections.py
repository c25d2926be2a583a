"""Takes a reviewed audit.csv back: the labels that a person wrote into its column `corrected_label`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from training.audit.findings import row_id
from training.audit.sheet import guarded
from training.dataset import Example
from training.failures import UnreadableData
from training.reading.delimited import read_delimited

NEEDED = ("corrected_label", "row_id")
REMOVE = "-"
"""Written as a corrected label, it leaves the row out."""


def read_corrections(path: Path, examples: list[Example]) -> dict[str, str | None]:
    """Row id -> corrected label, None to leave the row out, of the lines whose `corrected_label` is filled.

    Raises UnreadableData, naming the line, when a label is not one of the data's or a row is no longer in the data.
    """
    if not path.is_file():
        raise UnreadableData(f"{path} does not exist; give the audit.csv that `python -m training audit` wrote")
    table = read_delimited(path, None)
    if missing := [name for name in NEEDED if name not in table.columns]:
        raise UnreadableData(f"{path} has no column {missing[0]!r}; give the audit.csv that the audit wrote, reviewed")
    # a label that looks like a formula stands guarded in the sheet
    known = {guarded(example.label): example.label for example in examples}
    known.update({label: label for label in set(known.values())})
    rows = {row_id(example) for example in examples}
    found: dict[str, str | None] = {}
    for record in table.records:
        written = " ".join((record.values["corrected_label"] or "").split())
        if not written:
            continue
        place = f"{path}, line {record.line}"
        if written not in known and written != REMOVE:
            raise UnreadableData(
                f"{place}, column 'corrected_label': {written!r} is no label of the data; use one of "
                f"{', '.join(map(repr, sorted(set(known.values()))))}, or {REMOVE} to leave the row out"
            )
        row = (record.values["row_id"] or "").strip()
        if row not in rows:
            raise UnreadableData(
                f"{place}: the data has no row of this text and label (row_id {row!r}); give the data that was audited, or "
                "run the audit again"
            )
        found[row] = known.get(written)
    return found


def corrected(examples: list[Example], corrections: dict[str, str | None]) -> Iterator[Example]:
    """The examples in order, with the corrections applied."""
    for example in examples:
        label = corrections.get(row_id(example), example.label)
        if label is not None:
            yield replace(example, label=label)
