"""A blank figure in the project's look, with fonts that know Chinese where the machine has them."""

from __future__ import annotations

from typing import Any

FONTS = ["DejaVu Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Micro Hei", "Microsoft YaHei", "PingFang SC"]


def figure(width: float, height: float) -> Any:
    """A matplotlib Figure of `width` x `height` inches; needs no display."""
    import matplotlib
    from matplotlib import font_manager
    from matplotlib.figure import Figure

    known = {font.name for font in font_manager.fontManager.ttflist}
    matplotlib.rcParams["font.family"] = [name for name in FONTS if name in known] or ["sans-serif"]
    return Figure(figsize=(width, height), layout="constrained")
