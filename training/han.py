"""Chinese characters."""

from __future__ import annotations


def is_han(character: str) -> bool:
    """Whether it is a Chinese character: of the CJK ideographs, extension A and the compatibility block included."""
    return "\u4e00" <= character <= "\u9fff" or "\u3400" <= character <= "\u4dbf" or "\uf900" <= character <= "\ufaff"
