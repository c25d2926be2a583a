"""Words of windows, and words merged into entities."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from services.inference.loading import LoadedModel
from services.inference.pipeline import Answered
from services.inference.prediction import Encoded, Reading, Span, TaggedWord, Tags
from services.inference.queries import PLAIN, ModelReference, OffsetUnit, Options, TagQuery, TextInput, Windows
from services.inference.tasks.tagging import merged, tags
from services.inference.tasks.words import words_of
from services.inference.tokenization import Tokenization
from tests.fakes.tiny_words import TAG_LABELS, TAGS, VOCABULARY, tiny_tokenizer

LABEL_OF = {word: label for label, words in TAGS.items() for word in words}
MODEL = cast("LoadedModel", SimpleNamespace(manifest=SimpleNamespace(labels=TAG_LABELS), temperature=1.0))


def tagged(*labels: str) -> list[TaggedWord]:
    return [TaggedWord(label, 10 * n, 10 * n + 5, 0.5 + n / 100) for n, label in enumerate(labels)]


def spans_of(*labels: str) -> list[tuple[str, int, int]]:
    return [(kind, start // 10, end // 10) for kind, start, end, _ in merged(tagged(*labels))]


@pytest.mark.parametrize(
    ("labels", "entities"),
    [
        (["O", "O"], []),
        (["B-PER", "I-PER", "O"], [("PER", 0, 1)]),
        (["B-PER", "B-PER"], [("PER", 0, 0), ("PER", 1, 1)]),
        (["B-PER", "I-LOC"], [("PER", 0, 0), ("LOC", 1, 1)]),
        (["I-PER", "I-PER"], [("PER", 0, 1)]),
        (["O", "I-LOC", "B-LOC", "I-LOC"], [("LOC", 1, 1), ("LOC", 2, 3)]),
        (["B-PER", "O", "I-PER"], [("PER", 0, 0), ("PER", 2, 2)]),
        (["NAME", "NAME", "O", "NAME"], [("NAME", 0, 1), ("NAME", 3, 3)]),
        (["B-A-B", "I-A-B"], [("A-B", 0, 1)]),
        ([], []),
    ],
)
def test_bio_labels_merge_as_conlleval_has_it(labels: list[str], entities: list[tuple[str, int, int]]) -> None:
    assert spans_of(*labels) == entities


def test_an_entitys_probability_is_the_mean_of_its_words() -> None:
    ((_, _, _, probability),) = merged(tagged("B-PER", "I-PER", "I-PER"))
    assert probability == pytest.approx(0.51)


@given(st.lists(st.sampled_from([*TAG_LABELS, "MISC"]), max_size=20))
def test_entities_never_overlap_and_hold_every_word_that_means_something(labels: list[str]) -> None:
    words = tagged(*labels)
    entities = list(merged(words))
    assert all(before[2] <= after[1] for before, after in pairwise(entities))
    for word in words:
        inside = [kind for kind, start, end, _ in entities if start <= word.start and word.end <= end]
        assert inside == ([] if word.label == "O" else [word.label.removeprefix("B-").removeprefix("I-")])


def reading(*windows: list[tuple[int | None, Span | None]]) -> Reading:
    encoded = [Encoded(np.zeros(len(window), np.int64)) for window in windows]
    spans = [[span for _, span in window] for window in windows]
    return Reading(encoded, 0, False, spans, [[word for word, _ in window] for window in windows])


SPECIAL: tuple[None, None] = (None, None)
LETTERS = "abcdefghijklmnop"


def test_a_word_spans_its_tokens_and_takes_the_first() -> None:
    (word,) = words_of(reading([SPECIAL, (0, (0, 3)), (0, (3, 5)), SPECIAL]), LETTERS)
    assert (word.start, word.end, word.token) == (0, 5, 1)


def test_tokens_of_one_character_leave_the_first_of_them_the_first() -> None:
    """Byte-level tokenizers make several tokens of a character, all with its span."""
    (word,) = words_of(reading([SPECIAL, *[(0, (0, 1))] * 3, SPECIAL, SPECIAL, SPECIAL]), LETTERS)
    assert word.token == 1


def test_a_word_is_read_in_the_window_in_which_it_stands_farthest_from_an_edge() -> None:
    shared = [(n, (n, n + 1)) for n in range(4, 8)]
    first = [SPECIAL, *[(n, (n, n + 1)) for n in range(4)], *shared, SPECIAL]
    second = [SPECIAL, *shared, *[(n, (n, n + 1)) for n in range(8, 12)], SPECIAL]
    assert [word.window for word in words_of(reading(first, second), LETTERS)] == [0] * 6 + [1] * 6


def test_a_word_that_a_window_cuts_takes_its_label_where_its_first_token_is() -> None:
    first = [SPECIAL, (0, (0, 1)), (1, (2, 4)), SPECIAL]
    second = [SPECIAL, (1, (4, 6)), (2, (7, 8)), (3, (9, 10)), (4, (11, 12)), SPECIAL]
    words = words_of(reading(first, second), LETTERS)
    assert [(word.start, word.end, word.window, word.token) for word in words[:2]] == [(0, 1, 0, 1), (2, 6, 0, 2)]


def test_words_made_of_one_character_count_as_one_and_empty_ones_not_at_all() -> None:
    words = words_of(reading([SPECIAL, (0, (0, 1)), (1, (0, 1)), (2, (1, 1)), (3, (2, 4)), SPECIAL]), LETTERS)
    assert [(word.start, word.end) for word in words] == [(0, 1), (2, 4)]


def test_words_that_share_white_space_alone_are_two_without_it() -> None:
    words = words_of(reading([(0, (0, 4)), (1, (3, 8)), (2, (7, 8))]), "foo bar ")
    assert [(word.start, word.end) for word in words] == [(0, 3), (4, 7)]


@pytest.fixture(scope="module")
def tokenization(tmp_path_factory: pytest.TempPathFactory) -> Tokenization:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    tiny_tokenizer().save(str(path))
    return Tokenization(path, 12)


def logits(window: Encoded) -> NDArray[np.float32]:
    """As the tiny tagger's graph."""
    rows = np.zeros((len(window), len(TAG_LABELS)), np.float32)
    for row, number in zip(rows, window.input_ids.tolist(), strict=True):
        row[TAG_LABELS.index(LABEL_OF.get(VOCABULARY[number], "O"))] = 8.0
    return rows


def tag(tokenization: Tokenization, text: str, unit: OffsetUnit, options: Options = PLAIN, **more: Any) -> Tags:
    query = TagQuery(ModelReference("tagger"), None, options, [TextInput(text)], unit=unit, words=True, **more)
    read = tokenization.read(TextInput(text), options, spans=True)
    return tags(MODEL, Answered(TextInput(text), read, [logits(each) for each in read.windows], False), query=query)


ENCODINGS = {OffsetUnit.CODE_POINT: ("utf-32-le", 4), OffsetUnit.UTF16: ("utf-16-le", 2), OffsetUnit.UTF8: ("utf-8", 1)}
PIECES = [
    "Ada",
    "Lovelace",
    "王",
    "明",
    "北京",
    "new york",
    "  ",
    "👩‍👩‍👧",
    "naïve",
    "\u200b",
    ".",
    "İ",
    "ﷺ",
    "bank\n",
    "e\u0301",
]
OPTIONS = [PLAIN, Options(windows=Windows()), Options(windows=Windows(0)), Options(windows=Windows(4))]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from(PIECES) | st.text(st.characters(codec="utf-8"), max_size=5), max_size=25).map(" ".join),
    st.sampled_from(OffsetUnit),
    st.sampled_from(OPTIONS),
)
def test_offsets_always_slice_to_the_entitys_text_and_entities_never_overlap(
    tokenization: Tokenization, text: str, unit: OffsetUnit, options: Options
) -> None:
    result = tag(tokenization, text, unit, options)
    codec, width = ENCODINGS[unit]
    sent = text.encode(codec)
    for entity in result.entities:
        assert entity.start < entity.end
        assert sent[width * entity.start : width * entity.end].decode(codec) == entity.text
    for listed in (result.entities, result.words):
        assert all(one.end <= other.start for one, other in pairwise(listed))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from(["ada", "lovelace", "paris", "new", "york", "bank", "王", "明", "北", "京", "the"]), max_size=60
    )
)
def test_a_text_read_in_windows_has_the_entities_of_a_text_read_at_once(
    tokenization: Tokenization, words: list[str]
) -> None:
    text = " ".join(words)
    whole = [LABEL_OF.get(word, "O") for word in words]
    result = tag(tokenization, text, OffsetUnit.CODE_POINT, Options(windows=Windows(3)))
    assert [word.label for word in result.words] == whole


def test_entities_below_the_threshold_are_left_out_and_words_stay(tokenization: Tokenization) -> None:
    kept = tag(tokenization, "Ada Lovelace in Paris", OffsetUnit.CODE_POINT)
    assert [(each.label, each.text) for each in kept.entities] == [("PER", "Ada Lovelace"), ("LOC", "Paris")]
    none = tag(tokenization, "Ada Lovelace in Paris", OffsetUnit.CODE_POINT, threshold=1.0)
    assert none.entities == []
    assert len(none.words) == 4


def test_white_space_that_a_tokenizer_counts_to_a_word_is_no_part_of_an_entity() -> None:
    """As byte-level tokenizers do; what is nothing else is no word."""
    text = "in  New York\n"
    spans: list[Span | None] = [(0, 2), (2, 3), (3, 7), (7, 12), (12, 13)]
    window = Encoded(np.arange(5))
    reading = Reading([window], 5, False, [spans], [[0, 1, 2, 3, 4]])
    rows = np.zeros((5, len(TAG_LABELS)), np.float32)
    for token, label in enumerate(["O", "B-PER", "B-LOC", "I-LOC", "B-PER"]):
        rows[token, TAG_LABELS.index(label)] = 8.0
    query = TagQuery(ModelReference("tagger"), None, PLAIN, [TextInput(text)], unit=OffsetUnit.CODE_POINT, words=True)
    found = tags(MODEL, Answered(TextInput(text), reading, [rows], False), query=query)
    assert [(each.label, each.start, each.end, each.text) for each in found.entities] == [("LOC", 4, 12, "New York")]
    assert [(each.start, each.end) for each in found.words] == [(0, 2), (4, 7), (8, 12)]
