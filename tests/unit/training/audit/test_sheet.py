from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from training.audit.confidence import Confidence
from training.audit.corrections import corrected, read_corrections
from training.audit.findings import Findings, describe
from training.audit.folds import Folds
from training.audit.page import render
from training.audit.settings import audit_settings
from training.audit.sheet import guarded, write_sheet
from training.cleaning import CleaningReport
from training.dataset import Example
from training.duplicates import DuplicateReport
from training.failures import UnreadableData
from training.preparation import DistinctRows
from training.reading import Reading
from training.reading.columns import Columns

ATTACKS = ("=HYPERLINK(1)", "+1", "-1", "@SUM(1)", " =1", "＝1", "＠x", "a;=cmd", "a; +1")
EXAMPLES = [
    *(Example(text, "=label", source="rows.csv", row=n) for n, text in enumerate(ATTACKS, start=2)),
    Example("球队赢了, <b>很好</b>", "体育", source="rows.csv", row=20),
]


def findings_of(examples: list[Example]) -> Findings:
    labels = sorted({example.label for example in examples})
    truth = np.array([labels.index(example.label) for example in examples])
    probabilities = np.full((len(examples), len(labels)), 0.9)
    probabilities[np.arange(len(examples)), truth] = 0.1
    rows = DistinctRows(
        examples=examples,
        groups=list(range(len(examples))),
        reading=Reading(examples, Columns("text", "label", None, None), ["rows.csv"]),
        cleaning=CleaningReport(),
        duplicates=DuplicateReport(),
        leaks={},
        dropped_classes={},
    )
    everything = np.ones(len(examples), np.bool_)
    confidence = Confidence(everything, np.linspace(0, 1, len(examples)), 1.0)
    settings = audit_settings({"name": "toy"}, {"path": "rows.csv"})
    return describe(settings, rows, Folds(examples, labels, truth, truth, {}), probabilities, confidence)


def sheet_of(folder: Path) -> Path:
    path = folder / "audit.csv"
    write_sheet(findings_of(EXAMPLES), path, every_row=False)
    return path


def filled(sheet: Path, labels: dict[int, str]) -> Path:
    """The sheet as a person saves it, with `corrected_label` of some lines filled, by position."""
    with sheet.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for position, label in labels.items():
        rows[position]["corrected_label"] = label
    with sheet.open("w", encoding="gb18030", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return sheet


@pytest.mark.parametrize("text", ATTACKS)
def test_no_cell_begins_with_a_formula_whatever_the_delimiter(text: str, tmp_path: Path) -> None:
    assert "'" in guarded(text)
    lines = sheet_of(tmp_path).read_text(encoding="utf-8-sig").splitlines()[1:]
    for delimiter in ",;\t":
        cells = [cell.strip('" ') for line in lines for cell in line.split(delimiter)]
        assert not [cell for cell in cells if cell.startswith(tuple("=+-@＝＋－＠"))]


def test_harmless_cells_stay_as_they_are() -> None:
    for text in ("rates fell -5 %", "a=b", "mail@host", "球队赢了；－好", ""):
        assert guarded(text) == text


def test_a_spreadsheet_is_told_that_the_file_is_utf8_and_shows_chinese(tmp_path: Path) -> None:
    path = sheet_of(tmp_path)
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    assert "球队赢了, <b>很好</b>" in path.read_text(encoding="utf-8-sig")


def test_markup_in_a_row_is_shown_not_run(tmp_path: Path) -> None:
    page = render(findings_of(EXAMPLES), tmp_path / "audit <b>.csv")
    assert "<b>很好" not in page
    assert "&lt;b&gt;很好&lt;/b&gt;" in page
    assert "audit <b>" not in page


def test_corrections_come_back_also_of_labels_that_were_guarded_and_in_another_encoding(tmp_path: Path) -> None:
    sheet = filled(sheet_of(tmp_path), {0: "体育", 1: "-", 9: "'=label"})
    rows = list(corrected(EXAMPLES, read_corrections(sheet, EXAMPLES)))
    assert [row.text for row in rows] == [row.text for row in EXAMPLES if row.text != ATTACKS[1]]
    assert rows[0].label == "体育"
    assert rows[-1].label == "=label"
    assert {row.label for row in rows[1:-1]} == {"=label"}


def test_a_misspelt_correction_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(
        UnreadableData, match=r"audit\.csv, line 3, .*'体\?' is no label of the data; use one of '=label', '体育'"
    ):
        read_corrections(filled(sheet_of(tmp_path), {1: "体?"}), EXAMPLES)


def test_corrections_of_other_data_are_refused(tmp_path: Path) -> None:
    sheet = filled(sheet_of(tmp_path), {0: "体育"})
    with pytest.raises(UnreadableData, match=r"line 2: the data has no row of this text and label"):
        read_corrections(sheet, EXAMPLES[1:])
    with pytest.raises(UnreadableData, match=r"nothing\.csv does not exist"):
        read_corrections(tmp_path / "nothing.csv", EXAMPLES)
