"""Which encoding a text file is in: decided on all of its bytes, never guessed from a sample."""

from __future__ import annotations

import codecs
from pathlib import Path

from training.failures import UnreadableData

MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def decode(path: Path, encoding: str | None) -> tuple[str, str]:
    """Text of the file and the encoding it was in.

    Without `encoding`: by byte order mark, else UTF-8, else GB 18030 when the bytes decode to mostly Chinese text.
    Raises UnreadableData with the line of the first byte that does not fit.
    """
    data = path.read_bytes()
    if encoding is not None:
        return _strictly(data, encoding, path), encoding
    for mark, name in MARKS.items():
        if data.startswith(mark):
            return _strictly(data, name, path), name
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError as error:
        text = _chinese(data)
        if text is not None:
            return text, "gb18030"
        raise UnreadableData(
            f"{path}, line {_line(data, error.start)}: byte 0x{data[error.start]:02x} is not UTF-8 (nor is the file "
            "GB 18030): save it as UTF-8, or name its encoding with --encoding"
        ) from None


def _strictly(data: bytes, encoding: str, path: Path) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise UnreadableData(
            f"{path}, line {_line(data, error.start)}: byte 0x{data[error.start]:02x} does not fit the encoding "
            f"{encoding}: save the file as UTF-8, or name its encoding with --encoding"
        ) from None
    except (LookupError, UnicodeError) as error:
        raise UnreadableData(f"{path}: cannot decode as {encoding!r} ({error}): try --encoding utf-8") from None


def _chinese(data: bytes) -> str | None:
    """The text as GB 18030, if what is not ASCII is mostly common Chinese; almost any bytes decode, so this must be sure."""
    try:
        text = data.decode("gb18030")
    except UnicodeDecodeError:
        return None
    foreign = [character for character in text if ord(character) > 127]
    likely = sum(
        "\u4e00" <= character <= "\u9fff" or character in "，。！？、；：“”‘’（）《》…—·￥" for character in foreign
    )
    # two bytes of a Latin-1 word also decode, to rare characters: common ones stand in GB 2312's first level
    common = sum(_in_first_level(character) for character in foreign)
    return text if foreign and likely >= 0.9 * len(foreign) and common >= 0.6 * len(foreign) else None


def _in_first_level(character: str) -> bool:
    """Whether GB 2312 counts it among its 3,755 most used characters or its punctuation (rows 1 to 55)."""
    try:
        code = character.encode("gb2312")
    except UnicodeEncodeError:
        return False
    return len(code) == 2 and code[0] - 0xA0 <= 55


def _line(data: bytes, position: int) -> int:
    return data.count(b"\n", 0, position) + 1
