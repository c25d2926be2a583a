from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.cleaning import clean, clean_text
from training.dataset import Example


@pytest.mark.parametrize(
    ("dirty", "expected"),
    [
        ("The cafÃ© is open", "The café is open"),
        ("<p>Shares <b>rose</b></p><br/>today", "Shares rose today"),
        ("if a < b and c > d then", "if a < b and c > d then"),
        ("fish &amp; chips &lt;b&gt;now&lt;/b&gt;", "fish & chips now"),
        ("one\u200btwo\u0007 three\ufeff", "onetwo three"),
        ("  many \t\n spaces  ", "many spaces"),
        ("他说：“好！”（真的）", "他说：“好！”（真的）"),
        ("family 👨\u200d👩\u200d👧 emoji", "family 👨\u200d👩\u200d👧 emoji"),
        ("e\u0301", "é"),
        ("<script>alert(1)</script>left", "left"),
        ("&nbsp;&#20013;&#x6587;", "中文"),
    ],
)
def test_a_text_is_repaired(dirty: str, expected: str) -> None:
    assert clean_text(dirty) == expected


def test_rows_that_are_empty_afterwards_are_dropped_and_reported() -> None:
    rows = [Example("<br>", "x", source="f", row=2), Example("ok", "x"), Example("a", "x", text_pair=" \u200b", row=4)]
    kept, report = clean(rows)
    assert [row.text for row in kept] == ["ok"]
    assert report.empty == [("f", 2), ("", 4)]


@settings(max_examples=300, deadline=None)
@given(
    st.text(st.characters(exclude_categories=("Cs",)), max_size=60) | st.text("<>&;#ab amp lt/pbr Ã©中。", max_size=40)
)
def test_cleaning_a_clean_text_changes_nothing(text: str) -> None:
    once = clean_text(text)
    assert clean_text(once) == once
