from __future__ import annotations

import json
from pathlib import Path

import pytest

from training.failures import InvalidSettings, UnreadableData, UnusableData
from training.preparation import silent
from training.pretraining.corpus import read_corpus
from training.pretraining.settings import load_pretraining_settings
from training.reading import read_all_texts

CHINESE = [f"银行第{number}天上调利率，市场反应平静。" for number in range(30)]
ENGLISH = [f"On day {number} the bank raised its rate." for number in range(30)]


def lines(path: Path, texts: list[str], encoding: str = "utf-8") -> str:
    path.write_text("\n".join(texts) + "\n", encoding=encoding)
    return str(path)


def test_lines_tables_and_folders_are_read_together(tmp_path: Path) -> None:
    folder = tmp_path / "more"
    folder.mkdir()
    (folder / "one.csv").write_text("评论,评分\n很好,5\n很差,1\n", encoding="utf-8")
    (folder / "two.jsonl").write_text(json.dumps({"sentence": "A chip.", "id": 7}) + "\n", encoding="utf-8")
    (folder / "notes.md").write_text("not a text of the corpus", encoding="utf-8")
    found = read_all_texts([lines(tmp_path / "a.txt", ["one\ttab, one comma", "", "two"]), str(folder)], None, None)
    assert found.texts == ["one\ttab, one comma", "two", "很好", "很差", "A chip."]


def test_chinese_lines_in_gb18030_are_recognised(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.txt", CHINESE, "gb18030")
    found = read_all_texts([path], None, None)
    assert found.texts == CHINESE
    assert found.encodings == {path: "gb18030"}


def test_both_texts_of_a_pair_are_texts(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("premise,hypothesis,label\nA dog.,An animal.,yes\n", encoding="utf-8")
    assert read_all_texts([str(tmp_path / "pairs.csv")], None, None).texts == ["A dog.", "An animal."]
    assert read_all_texts([str(tmp_path / "pairs.csv")], "label", None).texts == ["yes"]


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("a.txt", b"good\nba\0d\n", "line 2: a NUL"),
        ("a.txt", b"good\n\xff\xfe\xfd bad\n", "line 2: byte 0xff is not UTF-8"),
        ("a.pdf", b"%PDF", "suffix must be one of .txt, .csv"),
        ("a.csv", b"number\n1\n", "has no column 'body'"),
    ],
)
def test_what_cannot_be_read_is_named_by_file_and_line(tmp_path: Path, name: str, content: bytes, part: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnreadableData, match=part):
        read_all_texts([str(tmp_path / name)], "body", None)


def test_a_missing_file_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableData, match="does not exist"):
        read_all_texts([str(tmp_path / "none.txt")], None, None)
    with pytest.raises(UnreadableData, match="has no file of texts"):
        read_all_texts([str(tmp_path)], None, None)


def test_each_text_is_once_and_held_out_texts_are_never_trained_on(tmp_path: Path) -> None:
    shouted = [text.upper() + "  " for text in ENGLISH]
    path = lines(tmp_path / "a.txt", [*ENGLISH, *CHINESE, *shouted, "<p></p>"])
    corpus = read_corpus(load_pretraining_settings({"paths": [path], "name": "a", "held_out_fraction": 0.1}), silent)
    assert corpus.read == 91
    assert len(corpus.held_out) == 6
    assert sorted(corpus.training + corpus.held_out) == sorted(ENGLISH + CHINESE)


def test_what_is_held_out_depends_on_texts_and_seed_but_not_on_their_order(tmp_path: Path) -> None:
    def held_out(texts: list[str], seed: int) -> set[str]:
        path = lines(tmp_path / "a.txt", texts)
        flags = {"paths": [path], "name": "a", "held_out_fraction": 0.2, "seed": seed}
        return set(read_corpus(load_pretraining_settings(flags), silent).held_out)

    assert held_out(CHINESE, 1) == held_out(CHINESE[::-1], 1)
    assert held_out(CHINESE, 1) != held_out(CHINESE, 2)


def test_a_handful_of_texts_is_no_language(tmp_path: Path) -> None:
    settings = load_pretraining_settings({"paths": [lines(tmp_path / "a.txt", ["one"] * 50)], "name": "a"})
    with pytest.raises(UnusableData, match="1 distinct texts are left of 50"):
        read_corpus(settings, silent)


@pytest.mark.parametrize(
    ("flags", "part"),
    [
        ({"model": "minilm", "layers": 2, "vocabulary": 500}, "vocabulary, layers: the model minilm brings its own"),
        ({"minutes": 5, "steps": 10}, "exclude one another"),
        ({"hidden_size": 100, "heads": 3}, "multiple of heads"),
        ({"batch_tokens": 64, "max_length": 128}, "batch_tokens must not be below max_length"),
        ({"masked_share": 1.5}, "masked_share"),
    ],
)
def test_settings_that_contradict_are_refused(flags: dict[str, object], part: str) -> None:
    with pytest.raises(InvalidSettings, match=part):
        load_pretraining_settings({"paths": ["a.txt"], "name": "a", **flags})
