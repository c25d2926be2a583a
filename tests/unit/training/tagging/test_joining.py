"""Tokens become the text that a user would have written, and know where they stand in it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.tagging.joining import joined


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        (["My", "phone", "broke", "."], "My phone broke."),
        (["Why", "(", "again", ")", "?"], "Why (again)?"),
        (["a", "...", "b"], "a ... b"),
        (list("我买的手机"), "我买的手机"),
        (list("我的iPhone12坏了。"), "我的iPhone12坏了。"),
        (["华为", "手机", "Mate", "60", "很", "好", "。"], "华为手机Mate 60很好。"),
        (["他", "说", "：", "“", "好", "”", "，", "走"], "他说：“好”，走"),
        (["I", "a", "m"], "I a m"),
        (["我", " ", "买"], "我 买"),
        (["カメラ", "を", "買う"], "カメラを買う"),
        (["삼성", "전화"], "삼성 전화"),
    ],
)
def test_spaces_stand_where_they_are_written(tokens: list[str], text: str) -> None:
    assert joined(tokens)[0] == text


WORD = st.text(st.characters(exclude_categories=["Cs", "Zs", "Zl", "Zp", "Cc"]), min_size=1, max_size=6)


@given(st.lists(WORD | st.sampled_from([*"我买手机。，(.)"]), min_size=1))
def test_every_token_stands_where_it_is_said_to(tokens: list[str]) -> None:
    text, places = joined(tokens)
    assert [text[start:end] for start, end in places] == tokens
    assert "  " not in text
