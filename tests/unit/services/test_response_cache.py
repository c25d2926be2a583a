from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from services.inference.prediction import Encoded, Reading
from services.inference.queries import PLAIN, Options, Priority, TextInput, Truncation, Windows
from services.inference.response_cache import ResponseCache

READING = Reading([Encoded(np.arange(4))], 4, truncated=False)
ROWS = [(np.array([1.0, 2.0], np.float32), np.array([0.3, 0.7], np.float32))]


def test_what_was_put_comes_back_for_the_same_text_and_options() -> None:
    cache = ResponseCache(1_000_000)
    cache.put(TextInput("球队"), PLAIN, READING, ROWS)
    found = cache.get(TextInput("球队"), PLAIN)
    assert found is not None
    assert found.reading is READING
    assert found.rows[0][1].tolist() == ROWS[0][1].tolist()
    assert cache.get(TextInput("球"), PLAIN) is None
    assert cache.get(TextInput("球队", ""), PLAIN) is None


def test_options_that_change_the_answer_are_part_of_the_key_and_others_are_not() -> None:
    cache = ResponseCache(1_000_000)
    cache.put(TextInput("a"), PLAIN, READING, ROWS)
    for other in (
        Options(Truncation.LEFT),
        Options(Truncation.ERROR),
        Options(windows=Windows()),
        Options(windows=Windows(1)),
    ):
        assert cache.get(TextInput("a"), other) is None
    assert cache.get(TextInput("a"), replace(PLAIN, priority=Priority.LOW, routing_key="user-1")) is not None


def test_a_row_does_not_keep_its_batch_in_memory() -> None:
    batch = np.zeros((128, 384), np.float32)
    cache = ResponseCache(1_000_000)
    cache.put(TextInput("a"), PLAIN, READING, [batch[3]])
    found = cache.get(TextInput("a"), PLAIN)
    assert found is not None
    assert found.rows[0].base is None


def test_what_is_larger_than_a_tenth_of_the_cache_is_not_kept() -> None:
    cache = ResponseCache(10_000)
    cache.put(TextInput("x" * 2_000), PLAIN, READING, ROWS)
    assert len(cache) == cache.bytes == 0


def test_the_least_recently_used_goes_first() -> None:
    cache = ResponseCache(12_000)
    for number in range(10):
        cache.put(TextInput(str(number)), PLAIN, READING, ROWS)
        cache.get(TextInput("0"), PLAIN)
    while len(cache) == 10 and number < 60:
        number += 1
        cache.put(TextInput(str(number)), PLAIN, READING, ROWS)
        cache.get(TextInput("0"), PLAIN)
    for further in range(60, 90):
        cache.put(TextInput(str(further)), PLAIN, READING, ROWS)
        cache.get(TextInput("0"), PLAIN)
    assert cache.get(TextInput("0"), PLAIN) is not None
    assert cache.get(TextInput("1"), PLAIN) is None


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(max_size=200), max_size=60), st.integers(0, 20_000))
def test_the_cache_never_holds_more_than_its_bound_and_its_books_are_right(texts: list[str], bound: int) -> None:
    cache = ResponseCache(bound)
    for text in texts:
        cache.put(TextInput(text), PLAIN, READING, ROWS)
        assert 0 <= cache.bytes <= bound
    kept = [text for text in set(texts) if cache.get(TextInput(text), PLAIN)]
    assert len(kept) == len(cache)
    assert (cache.bytes == 0) is (len(cache) == 0)
