from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.inference.offsets import converter
from services.inference.queries import OffsetUnit


def test_units_count_what_the_callers_strings_count() -> None:
    text = "a京👩é"
    spans = {unit: [converter(text, unit)((i, i + 1)) for i in range(len(text))] for unit in OffsetUnit}
    assert spans[OffsetUnit.CODE_POINT] == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert spans[OffsetUnit.UTF16] == [(0, 1), (1, 2), (2, 4), (4, 5)]
    assert spans[OffsetUnit.UTF8] == [(0, 1), (1, 4), (4, 8), (8, 10)]


@given(st.text(st.characters(codec="utf-8")), st.data())
def test_a_span_always_slices_the_same_characters(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    piece = text[start:end]
    first, last = converter(text, OffsetUnit.UTF8)((start, end))
    assert text.encode()[first:last].decode() == piece
    first, last = converter(text, OffsetUnit.UTF16)((start, end))
    assert text.encode("utf-16-le")[2 * first : 2 * last].decode("utf-16-le") == piece
    assert converter(text, OffsetUnit.CODE_POINT)((start, end)) == (start, end)
