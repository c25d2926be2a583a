"""Texts with entities from every format, and faults named by file and row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.annotated_sentences import sentences, write_conll, write_spans
from training.data_settings import DataSettings
from training.dataset import Entity, Example, Split
from training.failures import InvalidSettings, UnreadableData, UnusableData
from training.preparation import distinct_rows, prepare
from training.reading import Reading, read
from training.settings_reading import load_settings


def reading(path: Path, **more: Any) -> Reading:
    return read(DataSettings(path=str(path), label_kind="entities", **more))


def conll(folder: Path, text: str) -> Path:
    path = folder / "rows.conll"
    path.write_text(text, encoding="utf-8")
    return path


def jsonl(folder: Path, *rows: dict[str, Any]) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    return path


def told(example: Example) -> list[tuple[str, str]]:
    """(type, words) of the entities."""
    return [(each.label, example.text[each.start : each.end]) for each in example.entities or ()]


def test_columns_comments_and_documents_of_conll(tmp_path: Path) -> None:
    path = conll(
        tmp_path,
        "-DOCSTART- -X- O O\n\n# id 7\nMy PRP O\nrobot NN B-PRODUCT\narm NN I-PRODUCT\n. . O\n\n"
        "#metoo\tO\nAda Lovelace\tB-PER\n\n\n订 O\n单 O\nB B-ORDER\n7 I-ORDER\n。 O\n",
    )
    found = reading(path)
    assert [example.text for example in found.examples] == ["My robot arm.", "#metoo Ada Lovelace", "订单B7。"]
    assert [told(example) for example in found.examples] == [
        [("PRODUCT", "robot arm")],
        [("PER", "Ada Lovelace")],
        [("ORDER", "B7")],
    ]
    assert [example.row for example in found.examples] == [4, 9, 13]
    assert found.examples[0].labels == ("PRODUCT",)
    assert found.notes == ["3 entities: PRODUCT 1, PER 1, ORDER 1"]


def test_a_gb_18030_file_with_chinese_is_read(tmp_path: Path) -> None:
    text = "".join(f"{character} O\n" for character in "这是一个中文的句子我们在这里") + "北 B-LOC\n京 I-LOC\n"
    path = tmp_path / "rows.bio"
    path.write_bytes(text.encode("gb18030"))
    found = reading(path)
    assert told(found.examples[0]) == [("LOC", "北京")]
    assert found.encodings == {str(path): "gb18030"}


@pytest.mark.parametrize(
    ("tags", "note"),
    [
        ("I-LOC I-LOC B-LOC", "the tags are IOB1, and were converted to BIO"),
        ("B-LOC E-LOC S-LOC", "the tags are BIOES, and were converted to BIO"),
        ("B-LOC L-LOC U-LOC", "the tags are BILOU, and were converted to BIO"),
    ],
)
def test_other_schemes_become_the_same_entities_with_a_note(tmp_path: Path, tags: str, note: str) -> None:
    found = reading(jsonl(tmp_path, {"tokens": ["New", "York", "Paris"], "tags": tags.split()}))
    assert told(found.examples[0]) == [("LOC", "New York"), ("LOC", "Paris")]
    assert found.notes[1:] == [note]


def test_an_inside_without_its_beginning_begins_an_entity_and_is_named(tmp_path: Path) -> None:
    found = reading(conll(tmp_path, "in O\nYork I-LOC\n\nto O\nNew B-LOC\nYork I-PER\n"))
    assert [told(example) for example in found.examples] == [[("LOC", "York")], [("LOC", "New"), ("PER", "York")]]
    (note,) = found.notes[1:]
    assert note.startswith("2 tags go on with no entity of their type")
    assert f"{tmp_path / 'rows.conll'}, line 2; " in note
    assert "line 6" in note


def test_texts_with_spans_keep_their_characters(tmp_path: Path) -> None:
    text = "🚀 我在 五月三日 买的<b>手机</b>  broke"
    spans = [{"start": 12, "end": 20, "label": "PRODUCT"}, {"start": 4, "end": 10, "label": "DATE"}]
    found = reading(jsonl(tmp_path, {"text": text, "spans": spans, "shop": "北京"}))
    (example,) = found.examples
    assert example.text == text
    assert example.entities == (Entity(5, 9, "DATE"), Entity(12, 20, "PRODUCT"))
    assert told(example)[0] == ("DATE", "五月三日")
    assert example.extra == {"shop": "北京"}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": "abc", "spans": [{"start": 0, "end": 4, "label": "A"}]}, "no stretch of a text of 3 characters"),
        ({"text": "abc", "spans": [{"start": -1, "end": 2, "label": "A"}]}, "start -1 and end 2"),
        ({"text": "abc", "spans": [{"start": 1, "end": 1, "label": "A"}]}, "start 1 and end 1"),
        (
            {"text": "abc", "spans": [{"start": 0, "end": 2, "label": "A"}, {"start": 1, "end": 3, "label": "B"}]},
            "A 0-2 and B 1-3 overlap",
        ),
        ({"text": "abc", "spans": [{"start": 0, "end": 2}]}, "expected an object with the whole numbers"),
        ({"text": "abc", "spans": [{"start": True, "end": 2, "label": "A"}]}, "expected an object with"),
        ({"text": "abc", "spans": [[0, 2, "A"]]}, "entity 1: expected an object with"),
        ({"text": "abc", "spans": [{"start": 0, "end": 2, "label": " "}]}, "the label is empty"),
        ({"text": "a   c", "spans": [{"start": 1, "end": 3, "label": "A"}]}, "nothing but white space"),
        ({"text": "abc", "spans": "A"}, "expected a list of objects"),
        ({"text": "abc\ud800", "spans": []}, "half of a surrogate pair"),
        ({"text": "abc", "spans": [], "shop": "a\ud800"}, "column 'shop', character 2: half of a surrogate pair"),
        (
            {"text": "abc", "spans": [{"start": 0, "end": 1, "label": "\udfff"}]},
            "entity 1, label, character 1: half of a surrogate pair",
        ),
        ({"tokens": ["a"], "tags": ["B-\ud800"]}, "tag 1, character 3: half of a surrogate pair"),
        ({"tokens": ["a", "b"], "tags": ["O"]}, "2 tokens and 1 tags"),
        ({"tokens": ["a", 1], "tags": ["O", "O"]}, "column 'tokens': expected a list of words"),
        ({"tokens": ["a"], "tags": [3]}, "column 'tags': expected a list of words"),
        ({"tokens": ["a"], "tags": ["NOUN"]}, "tag 1: the tag 'NOUN' is neither O nor a type"),
        ({"tokens": ["a"], "tags": ["O"], "split": "some"}, "'some' is no split"),
        ({"texts": "a", "tags": ["O"]}, "no tokens or text among 'texts', 'tags'"),
    ],
)
def test_what_cannot_be_is_refused_by_row(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    path = tmp_path / "rows.jsonl"
    good = json.dumps({"text": "x y", "spans": [{"start": 0, "end": 1, "label": "A"}]})
    path.write_text(f"{good}\n{json.dumps(row)}\n", encoding="utf-8")
    with pytest.raises(UnreadableData) as error:
        reading(path)
    assert message in str(error.value)
    assert f"{path}, row 2" in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Paris B-LOC\nis\n", "line 2: 'is' stands alone"),
        ("Paris B-LOC\nis VERB\n", "line 2: the tag 'VERB' is neither O"),
        ("\n\n# nothing\n", "is empty: write a token and its tag a line"),
        ("is O\n", "there are no entities in any row"),
        ("Paris B-LOC\nYork E-LOC\nRome L-LOC\n", "the prefixes B, E, L belong to no one scheme"),
    ],
)
def test_faults_of_columns_are_named_by_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UnreadableData, match=str(tmp_path)) as error:
        reading(conll(tmp_path, text))
    assert message in str(error.value)


def test_white_space_around_a_tag_is_no_part_of_it(tmp_path: Path) -> None:
    rows = {"tokens": ["Ada", "met", "Li"], "tags": ["B-PER ", " O", "B-PER"]}, {"tokens": ["北"], "tags": ["\tB-LOC"]}
    found = reading(jsonl(tmp_path, *rows)).examples
    assert [told(example) for example in found] == [[("PER", "Ada"), ("PER", "Li")], [("LOC", "北")]]


def test_other_files_are_refused_with_those_that_are_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("text,label\na,b\n", encoding="utf-8")
    with pytest.raises(UnreadableData, match=r"read from \.conll, \.bio, \.jsonl"):
        reading(path)
    with pytest.raises(UnreadableData, match="does not exist"):
        reading(tmp_path / "no.conll")


def test_lists_of_parquet_are_read_and_rows_without_tags_left_out(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    path = tmp_path / "rows.parquet"
    rows = {"words": [["买", "手", "机"], ["a"]], "ner_tags": [["O", "B-PRODUCT", "I-PRODUCT"], None]}
    pyarrow.parquet.write_table(pyarrow.table(rows), path)
    found = reading(path)
    assert told(found.examples[0]) == [("PRODUCT", "手机")]
    assert (len(found.examples), found.unlabelled) == (1, 1)
    assert (found.columns.text, found.columns.label) == ("words", "ner_tags")


def test_every_format_says_the_same(tmp_path: Path) -> None:
    rows = sentences(60)
    columns = reading(write_conll(tmp_path / "rows.conll", rows)).examples
    spans = reading(write_spans(tmp_path / "rows.jsonl", rows)).examples
    assert [(each.text, each.entities) for each in columns] == [(each.text, each.entities) for each in spans]
    assert {label for each in columns for label in each.given} == {"PRODUCT", "ORDER", "DATE"}


def test_a_folder_of_splits_is_kept(tmp_path: Path) -> None:
    rows = sentences(90)
    for name, part in (("train", rows[:60]), ("dev", rows[60:75]), ("test", rows[75:])):
        write_conll(tmp_path / f"{name}.conll", part)
    dataset = prepare(DataSettings(path=str(tmp_path), label_kind="entities")).dataset
    assert [len(part) for part in dataset.parts.values()] == [60, 15, 15]


def test_the_splits_have_every_type_and_no_look_alikes_in_two(tmp_path: Path) -> None:
    rows = sentences(300)
    near = [(f"{text}!", spans) for text, spans in rows[:40]]
    prepared = prepare(
        DataSettings(path=str(write_spans(tmp_path / "rows.jsonl", [*rows, *near])), label_kind="entities")
    )
    dataset = prepared.dataset
    assert dataset.labels == ["O", "B-DATE", "I-DATE", "B-ORDER", "I-ORDER", "B-PRODUCT", "I-PRODUCT"]
    where: dict[str, set[Split | None]] = {}
    for part in dataset.parts.values():
        assert {label for example in part for label in example.given} == {"DATE", "ORDER", "PRODUCT"}
        for example in part:
            where.setdefault(example.text.rstrip("!"), set()).add(example.split)
    assert all(len(splits) == 1 for splits in where.values())
    report = prepared.report
    assert {each.label for each in report.classes} == {"DATE", "ORDER", "PRODUCT"}
    assert any("entities: " in warning for warning in report.warnings)


def test_the_same_text_with_other_entities_is_a_conflict(tmp_path: Path) -> None:
    rows = sentences(100)
    text, spans = next(row for row in rows if row[1])
    doubled = [*rows, (text, spans), (text, spans[1:])]
    report = prepare(
        DataSettings(path=str(write_spans(tmp_path / "rows.jsonl", doubled)), label_kind="entities")
    ).report
    (conflict,) = report.conflicts
    assert conflict.text == text
    assert sorted(conflict.labels.values()) == [1, 2]
    assert report.exact_duplicates == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("please fly me to Paris", "Please  fly me to paris"),
        ("我想订一张去 Paris 的票", "我想订一张去 ＰＡＲＩＳ 的票"),
        ("the ﬁrst flight to Paris", "the first flight to PARIS"),
    ],
)
def test_two_spellings_annotated_alike_are_one_text_and_no_conflict(tmp_path: Path, one: str, other: str) -> None:
    def marked(text: str) -> tuple[str, list[tuple[int, int, str]]]:
        start = max(text.lower().find("paris"), text.lower().find("ｐａｒｉｓ"))
        return text, [(start, start + len("paris"), "PLACE")]

    rows = [*sentences(100), marked(one), marked(other)]
    settings = DataSettings(
        path=str(write_spans(tmp_path / "rows.jsonl", rows)), label_kind="entities", min_rows_per_class=1
    )
    found = distinct_rows(settings)
    assert found.duplicates.conflicts == []
    (kept,) = [each for each in found.examples if "PLACE" in each.given]
    assert (kept.text, told(kept)) == (one, [("PLACE", "Paris")])


def test_rare_types_are_an_error_or_leave_their_texts(tmp_path: Path) -> None:
    rows = [*sentences(100), ("a rare bird came by", [(2, 11, "BIRD")])]
    path = str(write_spans(tmp_path / "rows.jsonl", rows))
    dataset = prepare(DataSettings(path=path, label_kind="entities", drop_rare_classes=True)).dataset
    assert "B-BIRD" not in dataset.labels
    kept = [each for part in dataset.parts.values() for each in part]
    assert [(each.entities, each.label) for each in kept if each.text == "a rare bird came by"] == [((), "no entity")]


def test_a_file_of_rare_types_alone_has_nothing_to_learn(tmp_path: Path) -> None:
    rows = [
        ("one rare bird came by", [(9, 13, "BIRD")]),
        *((f"nothing at all on day {n * 7919}", []) for n in range(30)),
    ]
    path = str(write_spans(tmp_path / "rows.jsonl", rows))
    with pytest.raises(UnusableData, match=r"no label is left: all have fewer than 3 distinct rows.*'BIRD' \(1\)"):
        prepare(DataSettings(path=path, label_kind="entities", drop_rare_classes=True))


def test_one_type_is_enough(tmp_path: Path) -> None:
    rows = [(text, [span for span in spans if span[2] == "DATE"]) for text, spans in sentences(100)]
    dataset = prepare(DataSettings(path=str(write_spans(tmp_path / "rows.jsonl", rows)), label_kind="entities")).dataset
    assert dataset.labels == ["O", "B-DATE", "I-DATE"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"sampling": "over"}, "sampling and class_weights are for classes of texts"),
        ({"class_weights": "balanced"}, "sampling and class_weights are for classes of texts"),
        ({"pooling": "mean"}, "each token stands for itself"),
    ],
)
def test_settings_that_make_no_sense_are_refused(flags: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSettings, match=message):
        load_settings(None, {"name": "x", "task": "token_classification", **flags}, {"path": "x.conll"})


def test_entities_belong_to_their_task() -> None:
    with pytest.raises(InvalidSettings, match="do not belong together"):
        load_settings(None, {"name": "x"}, {"path": "x.conll", "label_kind": "entities"})
