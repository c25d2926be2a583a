"""Sentences about orders, English and Chinese, with the entities PRODUCT, ORDER and DATE: written by a program for the tests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

ENGLISH_WORDS = [
    *(
        "i",
        "bought",
        "a",
        "the",
        "on",
        "my",
        "order",
        "where",
        "is",
        "please",
        "send",
        "it",
        "back",
        "to",
        "me",
        "when",
    ),
    *(
        "will",
        "arrive",
        "broke",
        "after",
        "thanks",
        "hello",
        "again",
        "never",
        "quickly",
        "box",
        "blue",
        "red",
        "green",
    ),
    *("office", "home", "sister", "friend", "parcel", "package", "shop"),
]
PRODUCTS = ["phone", "robot arm", "coffee machine", "desk lamp", "laptop"]
DATES = ["monday", "3 may", "friday", "7 june", "sunday"]
PRODUCTS_ZH = ["手机", "无线耳机", "咖啡机", "台灯", "电脑"]
DATES_ZH = ["周一", "五月三日", "周五", "六月七日", "昨天"]
WORDS = sorted(
    {*ENGLISH_WORDS, *["bt", "-", "."], *(w for p in (*PRODUCTS, *DATES) for w in p.split()), *map(str, range(10, 60))}
)
"""What an encoder's vocabulary must hold to read them."""
FILLERS_ZH = "请问你好麻烦了帮我看一下谢谢但是后来朋友公司家里快点真的不太清楚退回寄到办公室包裹已经坏掉"

Piece = tuple[str, str | None]
"""Words, and the type of the entity that they are."""
Sentence = list[Piece]


def sentences(count: int, seed: int = 0) -> list[tuple[str, list[tuple[int, int, str]]]]:
    """Distinct (text, [(start, end, type), ...]); every other one is Chinese."""
    random = np.random.default_rng(seed)
    found: dict[str, list[tuple[int, int, str]]] = {}
    while len(found) < count:
        chinese = len(found) % 2 == 1
        text, spans = written(_sentence(random, chinese), "" if chinese else " ")
        found[text] = spans
    return list(found.items())


def written(pieces: Sentence, between: str) -> tuple[str, list[tuple[int, int, str]]]:
    """The text of the pieces and where its entities stand."""
    text, spans = "", []
    for words, kind in pieces:
        text += between if text else ""
        if kind is not None:
            spans.append((len(text), len(text) + len(words), kind))
        text += words
    return text, spans


def _sentence(random: np.random.Generator, chinese: bool) -> Sentence:
    products, dates = (PRODUCTS_ZH, DATES_ZH) if chinese else (PRODUCTS, DATES)
    product: Piece = (str(random.choice(products)), "PRODUCT")
    date: Piece = (str(random.choice(dates)), "DATE")
    order: Piece = (f"BT-{random.integers(10, 60)}", "ORDER")

    def filler() -> Piece:
        if chinese:
            return "".join(random.choice(list(FILLERS_ZH), random.integers(2, 6)).tolist()), None
        return " ".join(random.choice(ENGLISH_WORDS, random.integers(1, 5)).tolist()), None

    shapes: list[Sentence] = [
        [filler(), product, filler(), date, filler()],
        [filler(), order, filler(), product, filler()],
        [filler(), date, filler(), order],
        [filler(), filler(), filler()],
    ]
    return shapes[int(random.integers(len(shapes)))]


def write_spans(path: Path, rows: Sequence[tuple[str, list[tuple[int, int, str]]]]) -> Path:
    """As jsonl with `text` and `spans`."""
    lines = [
        json.dumps(
            {"text": text, "spans": [{"start": s, "end": e, "label": kind} for s, e, kind in spans]}, ensure_ascii=False
        )
        for text, spans in rows
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_conll(path: Path, rows: Sequence[tuple[str, list[tuple[int, int, str]]]]) -> Path:
    """In columns: English by words, Chinese character by character."""
    lines = ["-DOCSTART- O", ""]
    for text, spans in rows:
        for token, start in _tokens(text):
            kind = next((f"{'B' if start == s else 'I'}-{label}" for s, e, label in spans if s <= start < e), "O")
            lines.append(f"{token}\t{kind}")
        lines.append("")
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def _tokens(text: str) -> list[tuple[str, int]]:
    if " " not in text:
        return [(character, position) for position, character in enumerate(text)]
    found, at = [], 0
    for word in text.split(" "):
        found.append((word, at))
        at += len(word) + 1
    return found
