from __future__ import annotations

import csv
import io
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.data_settings import DataSettings
from training.dataset import Split
from training.failures import TrainingFailure, UnreadableData
from training.reading import read


def write(path: Path, data: str | bytes) -> DataSettings:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return DataSettings(path=str(path))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_chinese_csv_is_read_in_every_usual_encoding(tmp_path: Path, encoding: str) -> None:
    rows = "文本,标签\n球队在加时赛中逆转夺冠,体育\n央行下调了基准利率,经济\n"
    reading = read(write(tmp_path / "rows.csv", rows.encode(encoding)))
    assert [(e.text, e.label) for e in reading.examples] == [
        ("球队在加时赛中逆转夺冠", "体育"),
        ("央行下调了基准利率", "经济"),
    ]


def test_tsv_jsonl_and_parquet_hold_the_same_rows(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    rows = [{"text": 'a "quoted", text', "label": "x"}, {"text": "第二行", "label": "y"}]
    tsv = io.StringIO()
    writer = csv.DictWriter(tsv, ["text", "label"], delimiter="\t")
    writer.writeheader()
    writer.writerows(rows)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "rows.parquet")
    expected = [(row["text"], row["label"]) for row in rows]
    for configured in (
        write(tmp_path / "rows.tsv", tsv.getvalue()),
        write(tmp_path / "rows.jsonl", "\n".join(map(json.dumps, rows))),
        DataSettings(path=str(tmp_path / "rows.parquet")),
    ):
        assert [(e.text, e.label) for e in read(configured).examples] == expected


def test_blank_lines_and_old_line_ends_before_the_header_are_passed_over(tmp_path: Path) -> None:
    reading = read(write(tmp_path / "rows.csv", "\r\rtext;label\rone;a\r\rtwo;b\r"))
    assert [(e.text, e.label, e.row) for e in reading.examples] == [("one", "a", 4), ("two", "b", 6)]


def test_an_example_knows_its_line_also_behind_a_quoted_newline(tmp_path: Path) -> None:
    reading = read(write(tmp_path / "rows.csv", 'text,label\n"two\nlines",a\nthree,b\n'))
    assert [(e.text, e.row) for e in reading.examples] == [("two\nlines", 2), ("three", 4)]


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("", ["is empty"]),
        ("text,label\n", ["has a header but no rows"]),
        ("text,label\na,b\nc,d,e\n", ["line 3", "column 2", "3 fields", "double quotes"]),
        ("text,label\nonly one\n", ["line 2", "fewer"]),
        ('text,label\na,b\n"open,c\nd,e\n', ["line 3", "never closed"]),
        ("text,text\na,b\n", ["line 1", "column 2", "second column"]),
        ("text,\na,b\n", ["line 1", "column 2", "no name"]),
        ("\n\ntext,\na,b\n", ["line 3", "column 2", "no name"]),
        ("\r\n\r\n", ["is empty"]),
        ("\r\x01", ["has a header but no rows"]),
        (b"text,label\nab\0c,d\n", ["line 2", "character 3", "NUL"]),
        (b"text,label\ngood,x\nb\xe9d \xff,y\n", ["line 3", "0xe9", "not UTF-8"]),
        ("text,label\na,\nb,\n", ["empty in every row", "no labels"]),
        ("first,second\nsome words here,other words there\nmore words,still more\n", ["none looks like", "--label"]),
    ],
)
def test_a_bad_file_is_refused_with_what_where_and_what_to_do(
    tmp_path: Path, content: str | bytes, parts: list[str]
) -> None:
    with pytest.raises(UnreadableData) as caught:
        read(write(tmp_path / "rows.csv", content))
    for part in (str(tmp_path / "rows.csv"), *parts):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ('{"text": "a", "label": ', ["line 2", "character", "not JSON"]),
        ('["a", "b"]', ["line 2", "not a JSON object"]),
        ('{"text": ["a"], "label": "b"}', ["line 2", "'text'", "nested list"]),
        ('{"text": "\\ud800", "label": "b"}', ["line 2", "'text'", "surrogate"]),
        ('{"text": "a", "label": "b", "\\ud800": "c"}', ["line 2", r"column '\ud800'", "surrogate"]),
    ],
)
def test_a_bad_json_line_is_named(tmp_path: Path, line: str, parts: list[str]) -> None:
    with pytest.raises(UnreadableData) as caught:
        read(write(tmp_path / "rows.jsonl", '{"text": "good", "label": "x"}\n' + line))
    for part in parts:
        assert part in str(caught.value)


def test_columns_are_taken_by_name_and_a_missing_one_is_listed(tmp_path: Path) -> None:
    configured = write(tmp_path / "rows.csv", "q,a,kind\nwhy,because,x\nhow,so,y\n")
    reading = read(configured.model_copy(update={"text": "q", "text_pair": "a", "label": "kind"}))
    assert [(e.text, e.text_pair, e.label) for e in reading.examples] == [("why", "because", "x"), ("how", "so", "y")]
    with pytest.raises(UnreadableData, match=r"no column 'body'; it has 'q', 'a', 'kind'"):
        read(configured.model_copy(update={"text": "body"}))


def test_columns_with_unusual_names_are_found_by_shape(tmp_path: Path) -> None:
    lines = [f"sentence number {n} is rather long,{'even' if n % 2 == 0 else 'odd'}" for n in range(10)]
    reading = read(write(tmp_path / "rows.csv", "s,k\n" + "\n".join(lines)))
    assert (reading.columns.text, reading.columns.label) == ("s", "k")


def test_a_folder_brings_its_own_splits(tmp_path: Path) -> None:
    for name in ("train", "dev", "test"):
        write(tmp_path / f"{name}.csv", f"text,label\n{name} row,x\n")
    splits = {e.text: e.split for e in read(DataSettings(path=str(tmp_path))).examples}
    assert splits == {"train row": Split.TRAIN, "dev row": Split.VALIDATION, "test row": Split.TEST}


def test_a_split_column_is_used_and_an_unknown_word_in_it_refused(tmp_path: Path) -> None:
    good = read(write(tmp_path / "good.csv", "text,label,split\na,x,train\nb,y,TEST\n"))
    assert [e.split for e in good.examples] == [Split.TRAIN, Split.TEST]
    with pytest.raises(UnreadableData, match=r"line 2, column 'split': 'maybe'"):
        read(write(tmp_path / "bad.csv", "text,label,split\na,x,maybe\n"))


def test_what_is_neither_a_file_nor_on_a_reachable_hub_is_explained() -> None:
    with pytest.raises(UnreadableData, match="neither a file here nor a data set"):
        read(DataSettings(path="nobody/no-such-data-set"))
    with pytest.raises(UnreadableData, match="does not exist"):
        read(DataSettings(path="missing.csv"))


def test_rows_without_a_label_are_counted_not_guessed(tmp_path: Path) -> None:
    reading = read(write(tmp_path / "rows.csv", "text,label\na,x\nb,\nc,y\n"))
    assert (len(reading.examples), reading.unlabelled) == (2, 1)


CELL = st.text(st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=("Cs",)), max_size=30)
ROWS = st.lists(st.tuples(CELL.filter(str.strip), st.sampled_from(["x", "y", "类"])), min_size=1, max_size=8)


@settings(max_examples=60, deadline=None)
@given(
    rows=ROWS, kind=st.sampled_from(["csv", "tsv", "jsonl"]), encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])
)
def test_any_table_survives_a_round_trip(rows: list[tuple[str, str]], kind: str, encoding: str) -> None:
    if kind == "jsonl":
        content = "\n".join(json.dumps({"text": text, "label": label}, ensure_ascii=False) for text, label in rows)
    else:
        buffer = io.StringIO(newline="")
        writer = csv.writer(buffer, delimiter="\t" if kind == "tsv" else ",", quoting=csv.QUOTE_ALL)
        writer.writerows([("text", "label"), *rows])
        content = buffer.getvalue()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"rows.{kind}"
        path.write_bytes(content.encode(encoding))
        assert [(e.text, e.label) for e in read(DataSettings(path=str(path))).examples] == rows


@settings(max_examples=300, deadline=None)
@given(
    data=st.binary(max_size=200) | st.text('\r\n",;\tab\x01', max_size=60).map(str.encode),
    kind=st.sampled_from(["csv", "tsv", "jsonl", "parquet"]),
)
def test_no_bytes_at_all_make_the_reader_fail_in_another_way(data: bytes, kind: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"rows.{kind}"
        path.write_bytes(data)
        try:
            read(DataSettings(path=str(path)))
        except TrainingFailure as failure:
            assert str(path) in str(failure)
