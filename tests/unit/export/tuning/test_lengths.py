"""Lengths of the traffic, from files and from bundles."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import generate_latest

from export.failures import ExportFailure
from export.tuning.lengths import TokenLengths
from export.tuning.traffic import lengths_of_bundle, lengths_of_file, lengths_of_texts, texts_of
from services.inference.metrics import Metrics
from tests.fakes.tiny_bundle import publish_tiny
from tests.fakes.tiny_variants import Tiny, publish_variants
from training.failures import UnreadableData


def test_a_sample_is_spread_evenly_over_the_distribution() -> None:
    lengths = TokenLengths.of([*[5] * 50, *[10] * 25, *[80] * 25], "test")
    assert lengths.sample(4) == [5, 5, 10, 80]
    assert lengths.sample(1) == [10]
    assert (lengths.at(0.0), lengths.at(0.99), lengths.at(1.0)) == (5, 80, 80)
    assert lengths.describe().model_dump() == {"source": "test", "texts": 100, "median": 10, "p99": 80}


def test_lengths_are_cut_to_what_the_model_reads() -> None:
    assert TokenLengths.of([4, 300], "test").within(128).sorted.tolist() == [4, 128]


def test_counts_survive_the_way_through_a_manifest() -> None:
    lengths = TokenLengths.of([7, 5, 7], "test")
    assert lengths.counts() == {5: 1, 7: 2}
    assert TokenLengths.of_counts(lengths.counts(), "test").sorted.tolist() == [5, 7, 7]


def test_of_a_servers_many_texts_the_shares_count() -> None:
    lengths = TokenLengths.of_counts({10: 3_000_000_000, 20: 1_000_000_000}, "test")
    assert len(lengths.sorted) == 1_000_000
    assert (lengths.at(0.74), lengths.at(0.76)) == (10, 20)
    with pytest.raises(ExportFailure, match="no lengths to measure for"):
        TokenLengths.of_counts({}, "test")


@pytest.mark.parametrize("lengths", [[], [0, 4]], ids=["none", "a text without tokens"])
def test_lengths_that_cannot_be_are_refused(lengths: list[int]) -> None:
    with pytest.raises(ExportFailure, match="no lengths to measure for"):
        TokenLengths.of(lengths, "test")


@pytest.mark.parametrize(("name", "content"), [("lengths.txt", "12\n13\n12\n"), ("lengths.json", '{"12": 2, "13": 1}')])
def test_a_file_of_lengths_is_read_in_both_forms(tmp_path: Path, name: str, content: str) -> None:
    file = tmp_path / name
    file.write_text(content, encoding="utf-8")
    assert lengths_of_file(file, "tiny").sorted.tolist() == [12, 12, 13]


@pytest.mark.parametrize("content", ["twelve", '{"12": "many"}', '{"12": [1]}', "[12]"])
def test_a_file_that_is_none_is_refused_with_what_is_wanted(tmp_path: Path, content: str) -> None:
    file = tmp_path / "lengths.txt"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(ExportFailure, match="tokens of one text a line"):
        lengths_of_file(file, "tiny")


def test_a_servers_saved_metrics_say_what_lengths_a_model_had(tmp_path: Path) -> None:
    metrics = Metrics()
    for version, length, texts in (("1", 5, 3), ("2", 12, 4), ("2", 13, 2)):
        for _ in range(texts):
            metrics.text_tokens.labels("tiny", version).observe(length)
    metrics.text_tokens.labels("other", "1").observe(400)
    file = tmp_path / "metrics.txt"
    file.write_bytes(generate_latest(metrics.registry))
    # the middles of 5 and 6, 11 and 12, 13 and 14, rounded down
    assert lengths_of_file(file, "tiny").counts() == {5: 3, 11: 4, 13: 2}
    with pytest.raises(ExportFailure, match="no lengths to measure for"):
        lengths_of_file(file, "unknown")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for read in (lambda path: lengths_of_file(path, "tiny"), lambda path: texts_of(path, None, None)):
        with pytest.raises(ExportFailure, match="gone"):
            read(tmp_path / "gone.txt")


def test_texts_are_read_from_tables_and_lines_in_english_and_chinese(tmp_path: Path) -> None:
    table = tmp_path / "客服.csv"
    table.write_text("text,label\n我的卡丢了,a\nwhere is my card,b\n我的卡丢了,a\n", encoding="utf-8")
    assert texts_of(table, None, None) == ["我的卡丢了", "where is my card", "我的卡丢了"]
    lines = tmp_path / "texts.txt"
    lines.write_text("我的卡丢了\n\nwhere is my card\n", encoding="utf-8")
    assert texts_of(lines, None, None) == ["我的卡丢了", "where is my card"]
    with pytest.raises(UnreadableData, match="no column 'question'"):
        texts_of(table, "question", None)


def test_pairs_are_counted_together(tmp_path: Path) -> None:
    file = tmp_path / "pairs.csv"
    file.write_text("query,candidate\nbank,the bank\n", encoding="utf-8")
    bundle = publish_tiny(tmp_path / "registry", pair=True)
    pairs = texts_of(file, "query", "candidate")
    alone = texts_of(file, "query", None)
    assert pairs == [("bank", "the bank")]
    both, one = (lengths_of_texts(bundle, texts, "test").sorted[0] for texts in (pairs, alone))
    assert both > one


def test_texts_are_tokenized_and_cut_as_the_server_does_it(tmp_path: Path) -> None:
    bundle = publish_tiny(tmp_path, max_length=8)
    assert lengths_of_texts(bundle, ["bank " * 20, "bank"], "test").sorted.tolist() == [3, 8]


def test_a_bundle_knows_the_lengths_of_its_validation_rows_and_an_old_one_those_of_its_golden_rows(
    tmp_path: Path,
) -> None:
    new = publish_variants(tmp_path / "new", [Tiny("fp32")], token_lengths={4: 2, 9: 1})
    assert lengths_of_bundle(new).sorted.tolist() == [4, 4, 9]
    old = lengths_of_bundle(publish_tiny(tmp_path / "old"))
    assert old.sorted.tolist() == [3, 4, 5]
    assert "golden rows" in old.source
