from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from services.quickstart.neighbour_answers import CANDIDATES, pick_neighbourhoods
from services.quickstart.ranking_answers import pick_questions
from services.quickstart.samples import NoSamples, Sample, pick


def written(folder: Path, rows: list[dict[str, Any]]) -> Path:
    path = folder / "test.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


ENGLISH = [{"text": f"an English text on {label} {n}", "label": label} for label in "abc" for n in range(5)]
CHINESE = [{"text": f"一篇关于{label}的中文报道{n}", "label": label} for label in "abc" for n in range(5)]


def test_few_samples_cover_all_labels_and_both_scripts(tmp_path: Path) -> None:
    samples = pick(written(tmp_path, ENGLISH + CHINESE), 6)
    assert {(sample.script, sample.label) for sample in samples} == {
        (script, label) for script in ("LATIN", "CJK") for label in "abc"
    }


def test_neighbours_differ_in_script_and_label(tmp_path: Path) -> None:
    samples = pick(written(tmp_path, ENGLISH + CHINESE), 6)
    for one, other in pairwise(samples):
        assert one.script != other.script
        assert one.label != other.label


def test_readable_texts_come_before_short_and_long_ones(tmp_path: Path) -> None:
    rows = [{"text": "no", "label": "a"}, {"text": "x" * 500, "label": "a"}, {"text": "a readable text", "label": "a"}]
    assert [sample.text for sample in pick(written(tmp_path, rows), 1)] == ["a readable text"]
    assert len(pick(written(tmp_path, rows), 9)) == 3


def test_no_more_rows_than_there_are_and_none_twice(tmp_path: Path) -> None:
    samples = pick(written(tmp_path, ENGLISH), 100)
    assert len(samples) == len({sample.text for sample in samples}) == 15


def test_pairs_keep_their_second_text(tmp_path: Path) -> None:
    rows = [{"text": "a question", "text_pair": "an answer", "label": "right"}]
    assert pick(written(tmp_path, rows), 1) == [Sample("a question", "an answer", "right", frozenset({"right"}))]


@pytest.mark.parametrize(
    ("text", "script"), [("«Été»", "LATIN"), ("2024: 股市", "CJK"), ("42", ""), ("Привет", "CYRILLIC")]
)
def test_the_script_is_that_of_the_first_letter(text: str, script: str) -> None:
    assert Sample(text, None, "a", frozenset({"a"})).script == script


def test_texts_of_several_labels_and_of_none_keep_them(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"text": "both of them are here", "label": "a | b", "labels": ["a", "b"]},
        {"text": "not one of them is here", "label": "", "labels": []},
    ]
    assert {sample.labels for sample in pick(written(tmp_path, rows), 2)} == {frozenset({"a", "b"}), frozenset()}


@pytest.mark.parametrize("content", ["", "\n", '{"text": "a"}\n', "not json\n", "[]\n"])
def test_a_file_without_rows_says_what_to_do(tmp_path: Path, content: str) -> None:
    file = tmp_path / "test.jsonl"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(NoSamples, match="train again"):
        pick(file, 8)


def test_a_run_that_was_not_trained_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NoSamples, match="make run"):
        pick(tmp_path / "absent.jsonl", 8)


SEPARATED = "one line\u2028and another\x85of a text"


def test_separators_of_lines_inside_a_text_do_not_end_its_row(tmp_path: Path) -> None:
    assert [each.text for each in pick(written(tmp_path, [{"text": SEPARATED, "label": "a"}]), 9)] == [SEPARATED]
    pairs = [{"text": "a query", "text_pair": f"{SEPARATED} {value}", "value": value} for value in (0.0, 1.0)]
    (question,) = pick_questions(written(tmp_path, pairs), 9)
    assert question.candidates == [f"{SEPARATED} 0.0", f"{SEPARATED} 1.0"]


@pytest.mark.parametrize("labels", [2, 5, 77])
def test_each_text_whose_neighbour_is_looked_for_has_one_of_its_label(tmp_path: Path, labels: int) -> None:
    rows = [
        {"text": f"text {n} about topic {label}", "label": f"l{label}"} for n in range(20) for label in range(labels)
    ]
    found = pick_neighbourhoods(written(tmp_path, [*rows, {"text": "the only one", "label": "alone"}]), 8)
    assert len(found) == 8
    for each in found:
        assert each.judged
        assert frozenset() < each.right < set(each.candidates)
        assert len(each.candidates) == CANDIDATES - 1
    assert len({each.wanted for each in found}) == min(labels, 8)


def test_where_no_label_has_two_texts_no_neighbour_is_wrong(tmp_path: Path) -> None:
    found = pick_neighbourhoods(
        written(tmp_path, [{"text": f"a text about {n}", "label": f"l{n}"} for n in range(9)]), 8
    )
    assert [each.judged for each in found] == [False] * 8
