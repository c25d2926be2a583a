"""Texts without labels: how they are read, and which are left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.data_settings import DataSettings
from training.dataset import Split
from training.distillation.unlabelled import read_unlabelled
from training.failures import UnreadableData
from training.preparation import Prepared, prepare, silent

ENGLISH = ["the card was lost on the way to the bank {n}", "what is the rate for a new account today {n}"]
CHINESE = ["我的银行卡在第{n}号柜台丢失了怎么办", "请问第{n}种新账户今天的利率是多少"]


def sentence(label: int, n: int) -> str:
    template = (ENGLISH if n % 2 else CHINESE)[label]
    # every number is a word of its own, so that no two sentences look alike
    return template.format(n=" ".join(f"{chr(0x4E00 + 97 * n + i)}{(7919 * n + i * 131) % 99991}" for i in range(12)))


@pytest.fixture
def prepared(tmp_path: Path) -> tuple[DataSettings, Prepared]:
    rows = [f'"{sentence(label, n)}",{"ab"[label]}' for n in range(30) for label in (0, 1)]
    path = tmp_path / "rows.csv"
    path.write_text("text,label\n" + "\n".join(rows) + "\n", encoding="utf-8")
    settings = DataSettings(path=str(path))
    return settings, prepare(settings)


def written(folder: Path, texts: list[str], header: str = "text") -> str:
    path = folder / "more.csv"
    path.write_text(header + "\n" + "\n".join(f'"{text}"' for text in texts) + "\n", encoding="utf-8")
    return str(path)


def test_texts_are_cleaned_and_what_is_known_already_is_left_out(
    prepared: tuple[DataSettings, Prepared], tmp_path: Path
) -> None:
    settings, data = prepared
    known = data.dataset.train[0].text
    path = written(tmp_path, ["<b>fresh</b>  text", "新的 文本", "<br>", known.upper(), "Fresh text"])
    found = read_unlabelled([path], settings, data, silent)
    assert [example.text for example in found.examples] == ["fresh text", "新的 文本"]
    assert found.left_out == {"empty": 1, "repeated": 2, "like validation or test rows": 0}
    assert {example.split for example in found.examples} == {Split.TRAIN}


def test_nothing_leaks_that_looks_like_a_row_the_student_is_judged_by(
    prepared: tuple[DataSettings, Prepared], tmp_path: Path
) -> None:
    settings, data = prepared
    held_out = [example.text for example in (*data.dataset.validation, *data.dataset.test)]
    assert any("今天" in text for text in held_out)
    assert any("today" in text for text in held_out)
    path = written(tmp_path, [*held_out, *(f"{text} !" for text in held_out), "a text that is like none of them"])
    found = read_unlabelled([path], settings, data, silent)
    assert [example.text for example in found.examples] == ["a text that is like none of them"]
    assert found.left_out["like validation or test rows"] == 2 * len(held_out)


def test_several_files_of_several_kinds_are_read_and_their_labels_ignored(
    prepared: tuple[DataSettings, Prepared], tmp_path: Path
) -> None:
    settings, data = prepared
    lines = tmp_path / "more.jsonl"
    lines.write_text('{"label": "c", "text": "one of a class unknown"}\n', encoding="utf-8")
    found = read_unlabelled([str(lines), written(tmp_path, ["and another"])], settings, data, silent)
    assert [example.text for example in found.examples] == ["one of a class unknown", "and another"]
    assert {example.label for example in found.examples} == {""}


def test_the_column_is_that_of_the_data_where_the_file_has_it(
    prepared: tuple[DataSettings, Prepared], tmp_path: Path
) -> None:
    settings, data = prepared
    named = settings.model_copy(update={"text": "said"})
    path = written(tmp_path, ["hello there"], header="said")
    assert len(read_unlabelled([path], named, data, silent).examples) == 1
    assert len(read_unlabelled([written(tmp_path, ["hello there"])], named, data, silent).examples) == 1


def test_pairs_need_pairs(prepared: tuple[DataSettings, Prepared], tmp_path: Path) -> None:
    settings, data = prepared
    pairs = Prepared(data.dataset, data.report, pair=True)
    with pytest.raises(UnreadableData, match="the data has pairs of texts, this file has none"):
        read_unlabelled([written(tmp_path, ["hello"])], settings, pairs, silent)
    path = tmp_path / "pairs.csv"
    path.write_text("sentence1,sentence2\none,two\n", encoding="utf-8")
    (found,) = read_unlabelled([str(path)], settings, pairs, silent).examples
    assert (found.text, found.text_pair) == ("one", "two")


def test_a_file_that_is_not_there_is_named(prepared: tuple[DataSettings, Prepared]) -> None:
    with pytest.raises(UnreadableData, match=r"nowhere\.csv does not exist"):
        read_unlabelled(["nowhere.csv"], *prepared, silent)
