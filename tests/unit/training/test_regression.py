"""Numbers as labels: reading, duplicates, splitting, scores."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import r2_score

from training.data_page import render
from training.data_settings import DataSettings
from training.dataset import Dataset, Example, Split
from training.failures import InvalidSettings, UnreadableData, UnusableData
from training.numbers import Scale, as_text, number_of, quantile_bins
from training.preparation import prepare
from training.reading import read
from training.settings_reading import load_settings
from training.tasks import task_of
from training.tasks.number_evaluation import evaluate_numbers, r_squared, uncertainty_of_numbers

REGRESSION = task_of("regression")
FINITE = st.floats(-1e100, 1e100)


def settings(path: Path, **more: object) -> DataSettings:
    return DataSettings(path=str(path), label_kind="number", **more)  # type: ignore[arg-type]


def write_csv(path: Path, rows: Sequence[tuple[str, object]]) -> Path:
    lines = ["text,stars", *(f'"{text}",{number}' for text, number in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def different(count: int) -> list[tuple[str, float]]:
    """Texts that are not alike, with numbers that many of the rows share."""
    return [(f"{n * 7919 % 100_003} {n * 104_729 % 99_991} {n}", n % 5 + 1.0) for n in range(count)]


@given(FINITE)
def test_every_finite_number_reads_as_what_was_written(value: float) -> None:
    assert number_of(as_text(value)) == value
    assert number_of(repr(value)) == value


@pytest.mark.parametrize(
    "cell", ["", "abc", "nan", "inf", "-Infinity", "1_000", "３", "1,5", "1e999", "0x10", "5 stars", "٣"]
)
def test_what_is_no_finite_number_is_refused(cell: str) -> None:
    with pytest.raises(ValueError, match=r"is no number|is too large"):
        number_of(cell)


@pytest.mark.parametrize(
    ("cell", "what"), [("good", "'good' is no number"), ("1,5", "write a decimal point"), ("nan", "no number")]
)
def test_a_bad_number_is_an_error_with_file_line_and_what_was_found(tmp_path: Path, cell: str, what: str) -> None:
    path = write_csv(tmp_path / "rows.csv", [("a good film", 4), ("一部好电影", f'"{cell}"')])
    with pytest.raises(UnreadableData, match=what) as caught:
        read(settings(path))
    assert "rows.csv, line 3, column 'stars'" in str(caught.value)


def test_numbers_of_every_format_are_the_same_numbers(tmp_path: Path) -> None:
    numbers = [1, 2.5, -3e-05, 4]
    texts = ["one", "two", "三", "four"]
    csv = write_csv(tmp_path / "rows.csv", list(zip(texts, ["1.0", "2.50", "-3E-5", "+4"], strict=True)))
    lines = [json.dumps({"text": text, "stars": number}) for text, number in zip(texts, numbers, strict=True)]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines), encoding="utf-8")
    pyarrow.parquet.write_table(pyarrow.table({"text": texts, "stars": numbers}), tmp_path / "rows.parquet")
    for path in (csv, tmp_path / "rows.jsonl", tmp_path / "rows.parquet"):
        examples = read(settings(path)).examples
        assert [example.value for example in examples] == numbers
        assert [example.label for example in examples] == ["1", "2.5", "-3e-05", "4"]


def test_rows_without_a_number_are_counted_and_left_out(tmp_path: Path) -> None:
    reading = read(settings(write_csv(tmp_path / "rows.csv", [("a", 1), ("b", ""), ("c", 2)])))
    assert (len(reading.examples), reading.unlabelled) == (2, 1)


def test_the_only_column_of_numbers_is_found_and_two_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a long text of many words,grade,shop\nthis is a text,3,x\nthat is one too,4,y\n", encoding="utf-8")
    assert read(settings(path)).columns.label == "grade"
    path.write_text("a long text of many words,grade,id\nthis is a text,3,1\nthat is one too,4,2\n", encoding="utf-8")
    with pytest.raises(UnreadableData, match=r"'grade' and 'id' both hold numbers.*--label"):
        read(settings(path))


def test_one_text_with_several_numbers_keeps_their_median(tmp_path: Path) -> None:
    rows = [*different(100), ("the same film", 1), ("The same  film", 2), ("the same film", 5)]
    prepared = prepare(settings(write_csv(tmp_path / "rows.csv", rows)))
    dataset, report = prepared.dataset, prepared.report
    (kept,) = [e for e in dataset.examples if e.text == "the same film"]
    assert kept.value == 2.0
    assert [(each.labels, each.outcome) for each in report.conflicts] == [({"1": 1, "2": 1, "5": 1}, "kept as '2'")]


def test_equal_numbers_written_differently_are_no_conflict(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "rows.csv", [*different(100), ("the same film", "3"), ("the same film", "3.0")])
    report = prepare(settings(path)).report
    assert (report.exact_duplicates, report.conflicts) == (1, [])


def test_near_duplicates_about_one_number_are_dropped_and_others_kept_together(tmp_path: Path) -> None:
    long = "a very long review of a film that somebody saw twice in one week and did not forget "
    rows = [*different(200), (long + "1", 3.0), (long + "2", 3.01), (long + "3", 1.0)]
    prepared = prepare(settings(write_csv(tmp_path / "rows.csv", rows)))
    dataset, report = prepared.dataset, prepared.report
    alike = [e for e in dataset.examples if e.text.startswith("a very long")]
    assert sorted(each.value or 0.0 for each in alike) == [1.0, 3.0]
    assert len({each.split for each in alike}) == 1
    assert (report.near_duplicates, report.similar_with_other_label) == (1, 1)


def test_splits_hold_low_and_high_numbers_alike(tmp_path: Path) -> None:
    rows = [(text, position) for position, (text, _) in enumerate(different(1000))]
    dataset = prepare(settings(write_csv(tmp_path / "rows.csv", rows))).dataset
    for part in (dataset.validation, dataset.test):
        values = np.array([each.value for each in part])
        assert len(values) == 100
        assert [int(((values >= low) & (values < low + 100)).sum()) for low in range(0, 1000, 100)] == [10] * 10


@given(st.lists(FINITE, max_size=80))
def test_bins_are_ordered_and_equal_numbers_share_one(values: list[float]) -> None:
    found = quantile_bins(values)
    pairs = sorted(zip(values, found, strict=True))
    assert [each for _, each in pairs] == sorted(found)
    assert len(set(pairs)) == len({value for value, _ in pairs})


def test_targets_are_standardised_by_the_training_rows(tmp_path: Path) -> None:
    dataset = prepare(settings(write_csv(tmp_path / "rows.csv", different(300)))).dataset
    targets = np.array([example.target for example in dataset.train])
    assert targets.mean() == pytest.approx(0.0, abs=1e-9)
    assert targets.std() == pytest.approx(1.0)
    values = [example.value for example in dataset.train]
    assert dataset.scale is not None
    assert dataset.scale.mean == pytest.approx(np.mean(values))
    assert dataset.scale.deviation == pytest.approx(np.std(values))
    truth = REGRESSION.truth(dataset.test, dataset.labels)
    assert truth.shape == (len(dataset.test), 1)
    assert truth.dtype == np.float32


@pytest.mark.parametrize("numbers", [[3.0, 3.0], [0.0, 1e-200]])
def test_numbers_that_cannot_be_learned_are_refused(tmp_path: Path, numbers: list[float]) -> None:
    rows = [(text, numbers[position % 2]) for position, (text, _) in enumerate(different(60))]
    with pytest.raises(UnusableData, match="nothing to learn"):
        prepare(settings(write_csv(tmp_path / "rows.csv", rows)))


def test_the_report_shows_numbers_and_ranges_of_them(tmp_path: Path) -> None:
    few = prepare(settings(write_csv(tmp_path / "few.csv", different(100)))).report
    assert [each.label for each in few.classes] == ["1", "2", "3", "4", "5"]
    rows = [(text, position) for position, (text, _) in enumerate(different(101))]
    many = prepare(settings(write_csv(tmp_path / "many.csv", rows))).report
    assert [each.total for each in many.classes] == [10] * 9 + [11]
    assert many.numbers is not None
    assert (many.numbers.lowest, many.numbers.median, many.numbers.highest) == (0.0, 50.0, 100.0)
    assert not [warning for warning in many.warnings if "class" in warning]
    assert "mean number" in render(many)


def test_the_task_says_that_labels_are_numbers_and_which_settings_are_not_for_them() -> None:
    made = load_settings(None, {"name": "x", "task": "regression"}, {"path": "x.csv"})
    assert made.data.label_kind == "number"
    with pytest.raises(InvalidSettings, match="do not belong together"):
        load_settings(None, {"name": "x"}, {"path": "x.csv", "label_kind": "number"})
    for flags, what in (({"loss": "focal"}, "mse or huber"), ({"sampling": "over"}, "for classes")):
        with pytest.raises(InvalidSettings, match=what):
            load_settings(None, {"name": "x", "task": "regression", **flags}, {"path": "x.csv"})
    with pytest.raises(InvalidSettings, match="cross_entropy or focal"):
        load_settings(None, {"name": "x", "loss": "mse"}, {"path": "x.csv"})


@given(st.lists(st.tuples(st.floats(-100, 100), st.integers(-9, 9)), min_size=3, max_size=40))
def test_scores_are_those_of_the_libraries(rows: list[tuple[float, int]]) -> None:
    predicted, truth = np.array([a for a, _ in rows]), np.array([float(b) for _, b in rows])
    found = evaluate_numbers(predicted, truth)
    assert found["mae"] <= found["rmse"] + 1e-9
    if truth.std() > 0:
        assert found["r2"] == pytest.approx(r2_score(truth, predicted), abs=1e-9)
        if predicted.std() > 1e-3:
            assert found["pearson"] == pytest.approx(pearsonr(predicted, truth)[0], abs=1e-6)
            assert found["spearman"] == pytest.approx(spearmanr(predicted, truth)[0], abs=1e-6)


def test_scores_of_what_does_not_vary_are_numbers_all_the_same() -> None:
    same, other = np.ones(4), np.arange(4.0)
    assert evaluate_numbers(same, other)["spearman"] == evaluate_numbers(other, same)["pearson"] == 0.0
    assert (r_squared(same, same), r_squared(other, same)) == (1.0, 0.0)
    assert r_squared(np.array([math.nan, 1.0]), np.array([0.0, 1.0])) == -math.inf


def test_the_interval_holds_the_score() -> None:
    random = np.random.default_rng(0)
    truth = random.normal(3, 2, 300)
    predicted = truth + random.normal(0, 1, 300)
    scores, intervals = evaluate_numbers(predicted, truth), uncertainty_of_numbers(predicted, truth)
    assert set(scores) == set(intervals)
    for name, (low, high) in intervals.items():
        assert low < scores[name] < high


def test_the_judgement_is_in_units_and_leaves_its_files(tmp_path: Path) -> None:
    scale = Scale(mean=100.0, deviation=10.0)
    examples = [Example(f"text {n}", str(n), value=float(n), target=scale.standardised(n)) for n in range(80, 120)]
    dataset = Dataset([], examples, examples, [], "", scale)
    logits = REGRESSION.truth(examples, []) + np.float32(0.1)
    measured = REGRESSION.measured({Split.VALIDATION: logits, Split.TEST: logits}, dataset)
    assert not list(tmp_path.iterdir())
    judgement = measured.written(tmp_path)
    assert judgement.metrics["test"]["mae"] == pytest.approx(1.0, abs=1e-4)
    assert judgement.metrics["test"]["spearman"] == 1.0
    lines = (tmp_path / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(lines[0]) == {"text": "text 80", "value": 80.0, "predicted": pytest.approx(81.0)}
    assert {path.name for path in tmp_path.iterdir()} == {"predictions.jsonl", "metrics.json", "predicted.png"}
