"""Texts with several labels: reading, splitting, thresholds, scores."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from training.calibration import fit_binary_temperature, sigmoid
from training.data_settings import DataSettings
from training.dataset import Dataset, Example, Split
from training.failures import InvalidSettings, UnreadableData, UnusableData
from training.preparation import prepare
from training.reading import read
from training.settings import FineTuneSettings
from training.settings_reading import load_settings
from training.tasks import task_of
from training.tasks.thresholds import HIGHEST, LOWEST, best_threshold, chosen_thresholds

MULTI = task_of("multi_label_classification")
WORDS = {"sports": "goal", "economy": "bank", "technology": "chip"}


def rows(count: int = 300) -> list[tuple[str, list[str]]]:
    """Texts of none, one or two labels."""
    names = list(WORDS)
    found = []
    for number in range(count):
        labels = [[], [names[number % 3]], sorted({names[number % 3], names[(number + 1) % 3]})][number % 3 or 1]
        if number % 10 == 0:
            labels = []
        words = " ".join(WORDS[label] for label in labels)
        found.append((f"{words} {number * 7919 % 100_003} {number * 104_729 % 99_991}", labels))
    return found


def write_csv(path: Path, separator: str = "|") -> Path:
    lines = ["text,labels", *(f'"{text}","{separator.join(labels)}"' for text, labels in rows())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def settings(path: Path, separator: str = "|", **more: object) -> DataSettings:
    return DataSettings(path=str(path), label_separator=separator, **more)  # type: ignore[arg-type]


def test_labels_are_separated_trimmed_sorted_and_counted_once(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('text,labels\na, b | a |b\nb,\nc,"x  y"\n', encoding="utf-8")
    examples = read(settings(path)).examples
    assert [example.given for example in examples] == [("a", "b"), (), ("x y",)]
    assert [example.label for example in examples] == ["a | b", "", "x y"]


def test_lists_of_json_and_parquet_are_labels_too(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(
        "\n".join(json.dumps({"text": text, "labels": labels}) for text, labels in rows(12)), encoding="utf-8"
    )
    table = pyarrow.table({"text": [text for text, _ in rows(12)], "labels": [labels for _, labels in rows(12)]})
    pyarrow.parquet.write_table(table, tmp_path / "rows.parquet")
    wanted = [tuple(labels) for _, labels in rows(12)]
    for name in ("rows.jsonl", "rows.parquet"):
        assert [example.given for example in read(settings(tmp_path / name)).examples] == wanted


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_a_label_that_holds_the_separator_is_refused_with_its_place(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"rows.{suffix}"
    if suffix == "jsonl":
        path.write_text('{"text": "a", "labels": ["a|b"]}\n', encoding="utf-8")
    else:
        pyarrow.parquet.write_table(pyarrow.table({"text": ["a"], "labels": [["a|b"]]}), path)
    with pytest.raises(UnreadableData, match=r"1, column 'labels': 'a\|b' holds the separator"):
        read(settings(path))


def test_every_split_has_every_label_and_texts_of_none(tmp_path: Path) -> None:
    dataset = prepare(settings(write_csv(tmp_path / "rows.csv"))).dataset
    assert dataset.labels == sorted(WORDS)
    for part in dataset.parts.values():
        assert {label for example in part for label in example.given} == set(WORDS)
        assert any(not example.given for example in part)
        assert any(len(example.given) == 2 for example in part)


def test_the_report_counts_each_label(tmp_path: Path) -> None:
    report = prepare(settings(write_csv(tmp_path / "rows.csv"))).report
    assert {each.label: each.total for each in report.classes} == {
        name: sum(name in labels for _, labels in rows()) for name in WORDS
    }


def test_a_file_without_several_labels_names_the_option(tmp_path: Path) -> None:
    with pytest.raises(UnusableData, match="--label-separator"):
        prepare(settings(write_csv(tmp_path / "rows.csv", ";")))


def test_rare_labels_are_an_error_or_leave_their_texts(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "rows.csv")
    path.write_text(path.read_text(encoding="utf-8") + '"new old",rare|sports\n"old new",rare\n', encoding="utf-8")
    with pytest.raises(UnusableData, match="'rare'"):
        prepare(settings(path))
    dataset = prepare(settings(path, drop_rare_classes=True)).dataset
    everything = dataset.examples
    assert "rare" not in dataset.labels
    assert [example.given for example in everything if example.text == "new old"] == [("sports",)]
    assert not [example for example in everything if example.text == "old new"]


def test_the_task_brings_its_separator_and_needs_it(tmp_path: Path) -> None:
    made = load_settings(None, {"name": "x", "task": "multi_label_classification"}, {"path": "x.csv"})
    assert made.data.label_separator == "|"
    with pytest.raises(InvalidSettings, match="belong together"):
        load_settings(None, {"name": "x"}, {"path": "x.csv", "label_separator": ";"})


@given(st.lists(st.tuples(st.floats(0.001, 0.999), st.booleans()), min_size=1, max_size=30))
def test_no_threshold_is_better_than_the_best(sample: list[tuple[float, bool]]) -> None:
    probabilities = np.array([probability for probability, _ in sample])
    truth = np.array([float(has) for _, has in sample], np.float32)
    found = best_threshold(probabilities, truth)
    assert LOWEST <= found <= HIGHEST
    tried = [each for each in {*probabilities.tolist(), found} if LOWEST <= each <= HIGHEST]
    scores = {each: f1_score(truth, probabilities >= each, zero_division=0.0) for each in tried}
    assert scores[found] == pytest.approx(max(scores.values()))


def test_of_thresholds_that_are_as_good_the_one_nearest_to_one_half_is_taken() -> None:
    truth = np.array([0, 0, 1, 1], np.float32)
    assert best_threshold(np.array([0.001, 0.01, 0.99, 0.999]), truth) == pytest.approx(0.5)
    assert best_threshold(np.array([0.001, 0.002, 0.03, 0.04]), truth) == LOWEST


def test_a_label_of_few_rows_takes_the_threshold_of_all() -> None:
    probabilities = np.column_stack([np.linspace(0, 1, 100), np.linspace(0, 0.5, 100)])
    truth = np.zeros((100, 2), np.float32)
    truth[40:, 0] = 1
    truth[99, 1] = 1
    first, second = chosen_thresholds(probabilities, truth)
    assert first == pytest.approx(0.4, abs=0.01)
    assert second == best_threshold(probabilities.ravel(), truth.ravel()) != first


def test_the_temperature_that_made_the_labels_is_found() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(0, 4, (4000, 3)).astype(np.float32)
    truth = (random.random((4000, 3)) < sigmoid(logits / 2.5)).astype(np.float32)
    assert fit_binary_temperature(logits, truth) == pytest.approx(2.5, rel=0.1)


def test_the_score_is_the_mean_average_precision_of_the_labels_that_occur() -> None:
    truth = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0]], np.float32)
    right = np.where(truth > 0, 2.0, -2.0).astype(np.float32)
    assert MULTI.score(right, truth) == 1.0
    assert MULTI.score(-right, truth) < 0.8
    assert MULTI.score(right, np.zeros_like(truth)) == 0.0


def test_balanced_weights_favour_rows_that_have_a_rare_label() -> None:
    examples = [Example(str(n), "", labels=("a",) if n % 2 else ("a", "b") if n == 0 else ()) for n in range(100)]
    dataset = Dataset(examples, [], [], ["a", "b"], "")
    flags = {"name": "x", "task": "multi_label_classification", "class_weights": "balanced"}
    weights = MULTI.loss(load_settings(None, flags, {"path": "x.csv"}), dataset).pos_weight
    assert weights.tolist() == [1.0, 20.0]
    assert MULTI.loss(FineTuneSettings(data=DataSettings(path="x"), name="x"), dataset).pos_weight is None


def test_the_judgement_says_what_it_decided_and_leaves_its_files(tmp_path: Path) -> None:
    examples = [Example(str(n), "", labels=[(), ("a",), ("a", "b")][n % 3]) for n in range(60)]
    dataset = Dataset([], examples, examples, ["a", "b"], "")
    truth = MULTI.truth(examples, dataset.labels)
    logits = np.where(truth > 0, 1.0, -3.0).astype(np.float32)
    measured = MULTI.measured({Split.VALIDATION: logits, Split.TEST: logits}, dataset)
    assert not list(tmp_path.iterdir())
    judgement = measured.written(tmp_path)
    assert judgement.metrics["test"]["micro_f1"] == judgement.metrics["test"]["exact_match"] == 1.0
    assert judgement.thresholds is not None
    lines = (tmp_path / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["predicted"] for line in lines[:3]] == [[], ["a"], ["a", "b"]]
    assert {path.name for path in tmp_path.iterdir()} == {
        "predictions.jsonl",
        "metrics.json",
        "labels.png",
        "calibration.png",
    }
