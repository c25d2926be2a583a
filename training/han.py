"""Chinese characters."""

from __future__ import annotations

import re

HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
"""For a set in a regular expression: the CJK ideographs, extension A and the compatibility block included."""
CHARACTER = re.compile(f"[{HAN}]")


def is_han(character: str) -> bool:
    """Whether it is a Chinese character."""
    return CHARACTER.match(character) is not None
