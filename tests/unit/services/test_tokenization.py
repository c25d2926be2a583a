"""Readings of texts and pairs, with the tokenizers library as the oracle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, processors

from services.inference.prediction import Encoded, Reading
from services.inference.queries import Options, TextInput, Truncation, Windows
from services.inference.tokenization import MAX_WINDOWS, Tokenization, TooManyTokens
from tests.fakes.tiny_words import VOCABULARY, tiny_tokenizer

WORDS = [
    "bank",
    "rate",
    "goal",
    "chip",
    "robot",
    "球",
    "队",
    "银",
    "行",
    "wholly-unknown",
    "naïve",
    "👩‍👩‍👧",
    "京都",
    "a,b",
]
LENGTH = 12
RIGHT, LEFT, ERROR = (Options(truncation=each) for each in Truncation)

texts = st.lists(st.sampled_from(WORDS), max_size=30).map(" ".join)
lengths = st.integers(8, 24)


def roberta_like() -> Tokenizer:
    """Four special tokens around a pair, none of them of the second type."""
    tokenizer = tiny_tokenizer()
    tokenizer.post_processor = processors.RobertaProcessing(("[SEP]", 3), ("[CLS]", 2), trim_offsets=True)
    return tokenizer


@pytest.fixture(scope="module", params=[tiny_tokenizer, roberta_like])
def file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    request.param().save(str(path))
    return path


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    tiny_tokenizer().save(str(path))
    return path


def oracle(file: Path, length: int, direction: str = "right", stride: int = 0) -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.enable_truncation(length, stride=stride, strategy="longest_first", direction=direction)
    return tokenizer


def ids(window: Encoded) -> list[int]:
    return window.input_ids.tolist()


def types(window: Encoded) -> list[int]:
    return [0] * len(window) if window.token_type_ids is None else window.token_type_ids.tolist()


@settings(max_examples=80, deadline=None)
@given(texts, lengths, st.sampled_from(["right", "left"]))
def test_a_text_is_cut_as_the_library_cuts_it(file: Path, text: str, length: int, side: str) -> None:
    expected = oracle(file, length, side).encode(text)
    reading = Tokenization(file, length).read(TextInput(text), LEFT if side == "left" else RIGHT, spans=True)
    assert ids(reading.windows[0]) == expected.ids
    assert reading.truncated is bool(expected.overflowing)
    assert reading.words == [expected.word_ids]
    assert reading.spans == [
        [span if word is not None else None for span, word in zip(expected.offsets, expected.word_ids, strict=True)]
    ]


@settings(max_examples=80, deadline=None)
@given(texts, texts, lengths, st.sampled_from(["right", "left"]))
def test_a_pair_is_cut_as_the_library_cuts_it(file: Path, text: str, pair: str, length: int, side: str) -> None:
    expected = oracle(file, length, side).encode(text, pair)
    reading = Tokenization(file, length).read(TextInput(text, pair), LEFT if side == "left" else RIGHT, spans=True)
    assert ids(reading.windows[0]) == expected.ids
    assert types(reading.windows[0]) == expected.type_ids
    assert reading.truncated is bool(expected.overflowing)
    first = [w if s == 0 else None for w, s in zip(expected.word_ids, expected.sequence_ids, strict=True)]
    assert reading.words == [first]


@settings(max_examples=80, deadline=None)
@given(texts, lengths, st.data())
def test_windows_are_those_of_the_library(file: Path, text: str, length: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, (length - 1) // 2))
    options = Options(windows=Windows(overlap))
    reading = Tokenization(file, length).read(TextInput(text), options, spans=True)
    step = min(overlap, (length - 2) // 2)
    first = oracle(file, length, stride=step).encode(text)
    expected = [first, *first.overflowing]
    assert [ids(window) for window in reading.windows] == [each.ids for each in expected]
    assert reading.words == [each.word_ids for each in expected]
    assert reading.token_count == sum(len(each.ids) for each in expected)
    assert not reading.truncated


def test_windows_share_a_quarter_when_nothing_is_said(bert: Path) -> None:
    words = TextInput("bank rate goal chip robot data team coach season match phone")
    reading = Tokenization(bert, 10).read(words, Options(windows=Windows()))
    first, second = (ids(window)[1:-1] for window in reading.windows)
    assert len(first) == 8
    assert first[-2:] == second[:2]


def test_a_text_that_fits_is_one_window_whatever_the_options_say(bert: Path) -> None:
    tokenization = Tokenization(bert, LENGTH)
    readings = [tokenization.read(TextInput("bank rate"), o) for o in (RIGHT, LEFT, ERROR, Options(windows=Windows()))]
    assert {(tuple(ids(each.windows[0])), len(each.windows), each.truncated) for each in readings} == {
        ((2, VOCABULARY.index("bank"), VOCABULARY.index("rate"), 3), 1, False)
    }


@pytest.mark.parametrize("pair", [None, "goal"])
def test_a_text_that_may_not_be_cut_is_refused(bert: Path, pair: str | None) -> None:
    with pytest.raises(TooManyTokens, match="more than 12 tokens"):
        Tokenization(bert, LENGTH).read(TextInput("bank " * 11, pair), ERROR)


def test_a_text_of_more_windows_than_allowed_is_refused_with_what_would_fit(bert: Path) -> None:
    tokenization = Tokenization(bert, LENGTH)
    options = Options(windows=Windows(0, most=2))
    assert len(tokenization.read(TextInput("bank " * 20), options).windows) == 2
    with pytest.raises(TooManyTokens, match="more than 20 tokens"):
        tokenization.read(TextInput("bank " * 21), options)
    with pytest.raises(TooManyTokens, match=f"more than {10 * MAX_WINDOWS} tokens"):
        tokenization.read(TextInput("bank " * (10 * MAX_WINDOWS + 1)), Options(windows=Windows(0)))


def test_a_text_without_tokens_is_read_as_its_special_tokens(bert: Path) -> None:
    reading = Tokenization(bert, LENGTH).read(TextInput("\u200b\u0001"), spans=True)
    assert ids(reading.windows[0]) == [2, 3]
    assert reading.spans == [[None, None]]


def test_a_word_that_is_longer_than_a_window_is_read_in_pieces(bert: Path) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["x" * n for n in range(1, 3)])
    path = bert.with_name("longer.json")
    tokenizer.save(str(path))
    reading = Tokenization(path, 8).read(TextInput("x" * 41), Options(windows=Windows(1)), spans=True)
    assert len(reading.windows) > 3
    assert all(len(window) <= 8 for window in reading.windows)
    assert reading.spans is not None
    covered = {position for spans in reading.spans for span in spans if span for position in range(*span)}
    assert covered == set(range(41))


def query_and_candidate(reading: Reading, window: int) -> tuple[list[int], list[int]]:
    rows, kinds = ids(reading.windows[window]), types(reading.windows[window])
    first = [i for i, kind in zip(rows, kinds, strict=True) if kind == 0]
    second = [i for i, kind in zip(rows, kinds, strict=True) if kind == 1]
    return first[1:-1], second[:-1]


single = st.lists(st.sampled_from(["bank", "rate", "goal", "chip", "球", "队"]), min_size=1, max_size=40)


@settings(max_examples=80, deadline=None)
@given(single.map(lambda words: words[:4]), single, st.integers(12, 24), st.integers(0, 5))
def test_windows_of_a_pair_read_as_if_each_had_been_sent_alone(
    bert: Path, query: list[str], candidate: list[str], length: int, overlap: int
) -> None:
    reading = Tokenization(bert, length).pairs(" ".join(query), Options(windows=Windows(overlap)))(" ".join(candidate))
    room = length - 3 - len(query)
    step = room - min(overlap, room // 2)
    begins = [0, *(b for b in range(step, len(candidate), step) if b - step + room < len(candidate))]
    tokenizer = Tokenizer.from_file(str(bert))
    expected = [tokenizer.encode(" ".join(query), " ".join(candidate[b : b + room])) for b in begins]
    assert [ids(window) for window in reading.windows] == [each.ids for each in expected]
    assert [types(window) for window in reading.windows] == [each.type_ids for each in expected]


def test_the_library_gives_windows_beside_a_query_that_was_tokenized_before_wrong_types(bert: Path) -> None:
    """One of the reasons why windows are made here. When this fails the library was mended."""
    tokenizer = Tokenizer.from_file(str(bert))
    query = tokenizer.encode("bank", add_special_tokens=False)
    candidate = tokenizer.encode("goal match team coach season chip", add_special_tokens=False)
    candidate.truncate(4)
    (second,) = tokenizer.post_process(query, candidate).overflowing
    assert second.type_ids == [0, 0, 0, 0, 0, 1]


def test_a_long_query_takes_half_of_the_room_and_the_reading_says_that_it_was_cut(bert: Path) -> None:
    read = Tokenization(bert, 13).pairs("bank " * 30, RIGHT)
    reading = read("goal match")
    assert query_and_candidate(reading, 0) == ([5] * 5, [VOCABULARY.index("goal"), VOCABULARY.index("match")])
    assert reading.truncated
    left = Tokenization(bert, 13).pairs("rate " * 30 + "bank", LEFT)("goal")
    assert query_and_candidate(left, 0)[0][-1] == VOCABULARY.index("bank")


def test_a_query_that_may_not_be_cut_is_refused_at_once(bert: Path) -> None:
    with pytest.raises(TooManyTokens, match="more than 5 tokens"):
        Tokenization(bert, 13).pairs("bank " * 6, ERROR)
    with pytest.raises(TooManyTokens, match="more than 13 tokens"):
        Tokenization(bert, 13).pairs("bank", ERROR)("goal " * 10)


def test_a_pair_read_in_windows_keeps_the_first_text_in_each(bert: Path) -> None:
    reading = Tokenization(bert, 13).read(TextInput("bank rate", "goal " * 30), Options(windows=Windows(2)))
    assert len(reading.windows) > 2
    assert {tuple(query_and_candidate(reading, n)[0]) for n in range(len(reading.windows))} == {(5, 6)}
    assert not reading.truncated


def test_two_very_long_texts_are_read_in_a_window_each_not_in_every_combination(bert: Path) -> None:
    tokenization = Tokenization(bert, 32)
    pair = TextInput("goal " * 20_000, "bank " * 20_000)
    assert len(tokenization.read(pair).windows[0]) == 32
    with pytest.raises(TooManyTokens):
        tokenization.read(pair, Options(windows=Windows()))


def test_token_ids_are_int64(bert: Path) -> None:
    for text in (TextInput("bank"), TextInput("bank " * 50), TextInput("bank " * 50, "goal " * 50)):
        window = Tokenization(bert, LENGTH).read(text).windows[0]
        assert window.input_ids.dtype == np.int64
        assert window.token_type_ids is None or window.token_type_ids.dtype == np.int64


def test_special_tokens_that_leave_no_room_are_an_error(file: Path) -> None:
    with pytest.raises(ValueError, match="leave no room"):
        Tokenization(file, 4)
