"""Tags of every scheme mean the same entities."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.tagging.schemes import Chunk, chunks, faults, is_tag, scheme_of

Entities = list[tuple[int, int, str]]


def written(length: int, entities: Entities, scheme: str) -> list[str]:
    """The tags of entities in a scheme."""
    inside, last, single = {"BIO": "IIB", "IOB1": "III", "BIOES": "IES", "BILOU": "ILU", "BMES": "MES"}[scheme]
    tags = ["O"] * length
    for number, (begin, end, kind) in enumerate(entities):
        touches = number > 0 and entities[number - 1][1:] == (begin, kind)
        first = "B" if scheme != "IOB1" or touches else "I"
        if end - begin == 1:
            tags[begin] = f"{first if scheme == 'IOB1' else single}-{kind}"
            continue
        tags[begin] = f"{first}-{kind}"
        for position in range(begin + 1, end):
            tags[position] = f"{last if position == end - 1 else inside}-{kind}"
    return tags


@st.composite
def annotations(draw: st.DrawFn) -> tuple[int, Entities]:
    pieces = draw(st.lists(st.tuples(st.integers(1, 4), st.sampled_from(["", "PER", "E-MAIL", "地点"])), min_size=1))
    entities, at = [], 0
    for size, kind in pieces:
        if kind:
            entities.append((at, at + size, kind))
        at += size
    return at, entities


@pytest.mark.parametrize("scheme", ["BIO", "IOB1", "BIOES", "BILOU", "BMES"])
@given(annotated=annotations())
def test_every_scheme_reads_back_what_it_wrote(scheme: str, annotated: tuple[int, Entities]) -> None:
    length, entities = annotated
    tags = written(length, entities, scheme)
    assert all(map(is_tag, tags))
    found: list[Chunk] = list(chunks(tags))
    assert found == entities
    assert faults(tags, scheme) == []  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        (["B-A", "I-A", "O"], "BIO"),
        (["B-A", "I-A", "I-B"], "BIO"),
        (["I-A", "B-A", "O", "I-A"], "IOB1"),
        (["I-A", "O", "B-A"], "BIO"),
        (["B-A", "E-A", "S-B"], "BIOES"),
        (["B-A", "L-A", "U-B"], "BILOU"),
        (["B-A", "M-A", "E-A"], "BMES"),
        (["O"], "BIO"),
    ],
)
def test_the_scheme_is_told_by_the_prefixes(tags: list[str], scheme: str) -> None:
    assert scheme_of([tags]) == scheme


def test_the_scheme_is_that_of_all_sentences_together() -> None:
    assert scheme_of([["B-A", "I-A"], ["S-B"]]) == "BIOES"
    with pytest.raises(ValueError, match="the prefixes B, E, L belong to no one scheme"):
        scheme_of([["B-A", "E-A"], ["B-A", "L-A"]])


@pytest.mark.parametrize(
    ("tags", "scheme", "entities", "wrong"),
    [
        (["O", "I-A", "I-A"], "BIO", [(1, 3, "A")], [1]),
        (["B-A", "I-B"], "BIO", [(0, 1, "A"), (1, 2, "B")], [1]),
        (["B-A", "O"], "BIOES", [(0, 1, "A")], [0]),
        (["E-A", "O"], "BIOES", [(0, 1, "A")], [0]),
        (["B-A", "E-A", "E-A"], "BIOES", [(0, 2, "A"), (2, 3, "A")], [2]),
        (["S-A", "I-A", "E-A"], "BIOES", [(0, 1, "A"), (1, 3, "A")], [1]),
    ],
)
def test_tags_that_break_the_scheme_are_read_as_conlleval_does_and_named(
    tags: list[str], scheme: str, entities: Entities, wrong: list[int]
) -> None:
    assert list(chunks(tags)) == entities
    assert faults(tags, scheme) == wrong  # type: ignore[arg-type]


@pytest.mark.parametrize("word", ["NOUN", "B_PER", "B-", "b-PER", "X-PER", "", "0"])
def test_what_is_no_tag_is_told(word: str) -> None:
    assert not is_tag(word)
