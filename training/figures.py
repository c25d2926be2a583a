"""A blank figure in the project's look, with fonts that know Chinese where the machine has them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

FONTS = ["DejaVu Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Micro Hei", "Microsoft YaHei", "PingFang SC"]


def figure(width: float, height: float) -> Any:
    """A matplotlib Figure of `width` x `height` inches; needs no display."""
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams["font.family"] = list(_files()) or ["sans-serif"]
    # names come from the data: dollar signs in them are no mathematics
    matplotlib.rcParams["text.parse_math"] = False
    return Figure(figsize=(width, height), layout="constrained")


def drawable(names: Sequence[str]) -> list[str]:
    """The names as the fonts of this machine can draw them: one with a character that none of them has becomes #1, #2, ...

    The number is its place among the names. A row of empty boxes would be the same for every Chinese name.
    """
    known = _characters()
    return [name if known.issuperset(map(ord, name)) else f"#{place}" for place, name in enumerate(names, start=1)]


@cache
def _files() -> dict[str, str]:
    """Font -> file, of the fonts that the machine has, in their order."""
    from matplotlib import font_manager

    files = {font.name: font.fname for font in font_manager.fontManager.ttflist}
    return {name: files[name] for name in FONTS if name in files}


@cache
def _characters() -> frozenset[int]:
    from matplotlib.ft2font import FT2Font

    return frozenset(code for file in _files().values() for code in FT2Font(file).get_charmap())
