from __future__ import annotations

import json
from pathlib import Path

import pytest

from training.data_page import render
from training.data_settings import DataSettings
from training.failures import UnusableData
from training.preparation import prepare


def write(path: Path, rows: list[tuple[str, str]]) -> DataSettings:
    path.write_text("text,label\n" + "".join(f'"{text}",{label}\n' for text, label in rows), encoding="utf-8")
    return DataSettings(path=str(path))


def distinct(label: str, count: int) -> list[tuple[str, str]]:
    return [(f"{label} {n} " + chr(0x4E00 + 37 * n) * 5, label) for n in range(count)]


def test_the_report_counts_what_happened(tmp_path: Path) -> None:
    rows = [
        *distinct("a", 20),
        *distinct("b", 20),
        ("a 0 " + chr(0x4E00) * 5, "a"),
        ("<br>", "a"),
        ("both", "a"),
        ("both", "b"),
    ]
    report = prepare(write(tmp_path / "rows.csv", rows), lambda texts: [len(text) for text in texts]).report
    assert (report.rows_read, report.rows_kept) == (44, 40)
    assert (report.empty, report.exact_duplicates, len(report.conflicts)) == (1, 1, 1)
    assert report.splits == {"train": 32, "validation": 4, "test": 4}
    assert report.lengths.unit == "tokens"
    assert sum(count for _, count in report.lengths.histogram) == 40
    assert json.loads(report.to_json())["classes"][0]["label"] == "a"


def test_a_class_of_one_row_is_refused_by_name_and_can_be_left_out(tmp_path: Path) -> None:
    configured = write(tmp_path / "rows.csv", [*distinct("a", 10), *distinct("b", 10), ("lonely", "odd")])
    with pytest.raises(UnusableData, match=r"'odd' \(1\).*--drop-rare-classes"):
        prepare(configured)
    prepared = prepare(configured.model_copy(update={"drop_rare_classes": True}))
    assert prepared.dataset.labels == ["a", "b"]
    assert prepared.report.dropped_classes == {"odd": 1}


def test_one_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableData, match="needs two labels"):
        prepare(write(tmp_path / "rows.csv", distinct("a", 10)))


def test_classes_are_listed_by_size_and_numbers_ascending(tmp_path: Path) -> None:
    configured = write(tmp_path / "rows.csv", [*distinct("1", 10), *distinct("2", 20)])
    classes, numbers = (
        prepare(configured).report,
        prepare(configured.model_copy(update={"label_kind": "number"})).report,
    )
    assert [each.label for each in classes.listed_classes] == ["2", "1"]
    assert [each.label for each in numbers.listed_classes] == ["1", "2"]
    page = render(classes)
    assert page.index("<summary>2</summary>") < page.index("<summary>1</summary>")


def test_markup_in_a_row_is_shown_not_run(tmp_path: Path) -> None:
    rows = [("1 < 2 <scr onload=x> 'quoted'", "a"), *distinct("a", 10), *distinct("b", 10)]
    page = render(prepare(write(tmp_path / "rows.csv", rows)).report)
    assert "<scr" not in page
    assert "&lt;scr onload=x&gt;" in page


def test_imbalance_and_spelling_are_warned_about(tmp_path: Path) -> None:
    rows = [*distinct("Big", 200), *distinct("small", 5), *((f"other {n}" * 3, "Small") for n in range(5))]
    warnings = " ".join(prepare(write(tmp_path / "rows.csv", rows)).report.warnings)
    assert "class weights" in warnings
    assert "spelled differently" in warnings


@pytest.mark.parametrize(("texts", "told"), [(1, "1 text occurs with different"), (2, "2 texts occur with different")])
def test_warnings_count_in_plain_english(tmp_path: Path, texts: int, told: str) -> None:
    twice = [(f"said {n} " + chr(0x4E00 + 900 * n) * 9, label) for n in range(1, texts + 1) for label in "ab"]
    report = prepare(write(tmp_path / "rows.csv", [*distinct("a", 20), *distinct("b", 20), *twice])).report
    assert any(warning.startswith(told) for warning in report.warnings), report.warnings
