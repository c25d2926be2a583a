"""Which columns say that texts belong together, and what becomes of the rows before they are trained on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from training.data_page import render
from training.data_settings import DataSettings
from training.dataset import Split
from training.encoders import find_encoder, stored_pooling
from training.failures import InvalidSettings, UnreadableData
from training.preparation import prepare
from training.reading import read
from training.run import RunDirectory


def settings(folder: Path, lines: list[str], **more: object) -> DataSettings:
    path = folder / "rows.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return DataSettings(path=str(path), **{"relation": "auto", **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("Question,Answer,Class", ("Question", "Answer", None, None)),
        ("query,passage,negative", ("query", "passage", None, "negative")),
        ("问题,答案,负例", ("问题", "答案", None, "负例")),
        ("sentence1,sentence2,score", ("sentence1", "sentence2", "score", None)),
        ("句子1,句子2,相似度", ("句子1", "句子2", "相似度", None)),
    ],
)
def test_columns_are_found_by_their_names(tmp_path: Path, header: str, found: tuple[str | None, ...]) -> None:
    columns = read(settings(tmp_path, [header, "a,b,1", "c,d,0.5"])).columns
    assert (columns.text, columns.text_pair, columns.label, columns.negative) == found


def test_a_label_without_a_second_text_is_what_brings_texts_together(tmp_path: Path) -> None:
    reading = read(settings(tmp_path, ["text,label", "球队赢了,体育", "bank,money"]))
    assert [(each.text, each.label, each.text_pair, each.given) for each in reading.examples] == [
        ("球队赢了", "体育", None, ("体育",)),
        ("bank", "money", None, ("money",)),
    ]


def test_columns_can_be_named(tmp_path: Path) -> None:
    named = settings(tmp_path, ["a,b,c", "x,y,z"], text="a", text_pair="b", negative="c")
    (example,) = read(named).examples
    assert (example.text, example.text_pair, example.negative, example.given) == ("x", "y", "z", ())


@pytest.mark.parametrize(
    ("lines", "more", "part"),
    [
        (
            ["sentence1,sentence2,label", "a,b,1", "c,d,entailment"],
            {},
            "line 3, column 'label': 'entailment' is no number",
        ),
        (["sentence1,sentence2,score", "a,b,nan"], {}, "line 2, column 'score': 'nan' is no number"),
        (["text,label", "a,b"], {"relation": "pair"}, "no pair of texts among 'text', 'label'"),
        (["question,answer", "a,b"], {"relation": "score"}, "no column of similarities"),
        (["question,answer", "a,b"], {"negative": "other"}, "no column 'other'"),
    ],
)
def test_what_does_not_fit_is_said_with_its_place(
    tmp_path: Path, lines: list[str], more: dict[str, object], part: str
) -> None:
    with pytest.raises(UnreadableData, match=part):
        read(settings(tmp_path, lines, **more))


def test_answers_alike_do_not_make_questions_duplicates(tmp_path: Path) -> None:
    answer = "Please call the number on the back of your card and follow the recorded message at any time of the day."
    subjects = ["a lost card", "blocked transfers", "the interest rate", "opening hours", "a new address", "my loan"]
    verbs = ["explain", "who cancels", "how do I report", "where to order", "what happens with"]
    rows = [f"{verb} {subject},{answer}" for verb in verbs for subject in subjects]
    prepared = prepare(settings(tmp_path, ["question,answer", *rows, rows[0], "only a question,"]))
    assert prepared.report.exact_duplicates == 1
    assert prepared.report.near_duplicates == 0
    assert prepared.report.empty == 1
    assert prepared.report.rows_kept == 30
    page = render(prepared.report)
    assert "30" in page
    assert "Classes" not in page


def test_one_question_never_stands_in_two_splits(tmp_path: Path) -> None:
    rows = [f"{chr(97 + n // 3 % 26) * 9} {n // 3},answer {n}" for n in range(90)]
    dataset = prepare(settings(tmp_path, ["question,answer", *rows])).dataset
    parts = [{each.text for each in part} for part in dataset.parts.values()]
    assert all(parts)
    assert not parts[0] & parts[1] and not parts[0] & parts[2] and not parts[1] & parts[2]


def test_one_pair_with_two_negatives_is_two_rows_that_are_kept_in_the_run(tmp_path: Path) -> None:
    lines = [f"topic {n} asked,reply {n},wrong {n} {i}" for n in range(20) for i in range(2)]
    dataset = prepare(settings(tmp_path, ["query,passage,negative", *lines], near_duplicate_threshold=1.0)).dataset
    rows = dataset.examples
    assert len(rows) == 40
    run = RunDirectory(tmp_path / "run")
    run.write_split(Split.TRAIN, dataset.train)
    assert [(each.text, each.text_pair, each.negative, each.labels) for each in run.examples(Split.TRAIN)] == [
        (each.text, each.text_pair, each.negative, ()) for each in dataset.train
    ]


def scored(*more: str) -> list[str]:
    """Rows of pairs with their similarity, no two alike."""
    distinct = [f"{n * 7919} is the first of them {n},{n * 104729} the second {n},{n % 6 / 2:g}" for n in range(40)]
    return ["sentence1,sentence2,score", *distinct, *more]


def test_similarities_are_numbers_of_which_a_text_keeps_the_median(tmp_path: Path) -> None:
    same = "两个 people are playing chess,Two persons play chess"
    rows = scored(f"{same},0.80", f"{same},0.8", f"{same},1.4")
    prepared = prepare(settings(tmp_path, rows))
    dataset, report = prepared.dataset, prepared.report
    found = [row for row in dataset.examples if "chess" in row.text]
    assert [(row.value, row.label, row.given) for row in found] == [(0.8, "0.8", ())]
    assert [(each.labels, each.outcome) for each in report.conflicts] == [({"0.8": 2, "1.4": 1}, "kept as '0.8'")]
    assert report.numbers is not None
    assert (report.numbers.lowest, report.numbers.highest) == (0.0, 2.5)
    assert [each.label for each in report.classes] == ["0", "0.5", "0.8", "1", "1.5", "2", "2.5"]


def test_only_equal_second_texts_make_another_similarity_a_doubt(tmp_path: Path) -> None:
    first = "A long sentence about the weather of next week in the north of the country"
    rows = scored(f"{first},It rains,2.5", f"{first}!,A dog barks,0", f"{first}.,It rains,0.5")
    report = prepare(settings(tmp_path, rows)).report
    assert report.similar_with_other_label == 1
    assert report.near_duplicates == 0


def test_files_of_the_other_splits_need_no_negatives(tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text("query,passage\nwhere is it,over there\n", encoding="utf-8")
    lines = ["query,passage,negative", "who is it,a friend,a foe"]
    found = read(settings(tmp_path, lines, test_path=str(tmp_path / "test.csv"))).examples
    assert [(each.text, each.negative) for each in found] == [("who is it", "a foe"), ("where is it", None)]


@pytest.mark.parametrize("other", ["a question,an answer,another foe", "A question,another answer,foe"])
def test_a_question_in_two_splits_is_a_leak_whatever_stands_beside_it(tmp_path: Path, other: str) -> None:
    rows = [f"topic {n * 7919} asked,reply {n},wrong {n},train" for n in range(20)]
    lines = ["query,passage,negative,split", *rows, "a question,an answer,a foe,train", f"{other},test"]
    assert prepare(settings(tmp_path, lines)).report.leaks == {"train and test": 1}


@pytest.mark.parametrize(
    ("said", "pooling"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"pooling_mode": "mean"}, "mean"),
        ({"pooling_mode": "lasttoken"}, "last"),
        ({"pooling_mode_max_tokens": True}, None),
    ],
)
def test_a_folder_of_sentence_transformers_says_its_pooling(
    tmp_path: Path, said: dict[str, object], pooling: str | None
) -> None:
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps(said), encoding="utf-8")
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    assert stored_pooling(tmp_path) == pooling
    assert find_encoder(str(tmp_path)).pooling == pooling


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff"])
def test_a_pooling_that_cannot_be_read_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_bytes(content)
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InvalidSettings, match=r"1_Pooling/config\.json is damaged: remove it"):
        find_encoder(str(tmp_path))
