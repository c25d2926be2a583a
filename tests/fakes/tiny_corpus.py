"""Texts in which words can be guessed from their neighbours, English and Chinese."""

from __future__ import annotations

from pathlib import Path

import numpy as np

SENTENCES = (
    (
        "the {0} won the match in the last minute of the season",
        ("home team", "old coach", "young player", "guest team"),
    ),
    ("shares of the {0} fell after the bank raised its rate", ("chip maker", "phone seller", "car maker", "coal mine")),
    ("a new {0} writes code and answers the phone today", ("robot", "program", "machine", "assistant")),
    ("{0}在最后一分钟赢得了比赛", ("主队", "客队", "老将", "新人")),
    ("银行上调利率后{0}的股价下跌", ("芯片厂", "手机商", "汽车厂", "煤矿")),
    ("新的{0}今天发布可以写代码", ("机器人", "程序", "手机", "助手")),
)


def corpus(count: int, seed: int = 0) -> list[str]:
    """Distinct texts: one to three sentences and a number."""
    generator = np.random.default_rng(seed)
    texts: dict[str, None] = {}
    while len(texts) < count:
        parts = []
        for sentence in generator.choice(len(SENTENCES), int(generator.integers(1, 4))):
            pattern, words = SENTENCES[sentence]
            parts.append(pattern.format(words[int(generator.integers(len(words)))]))
        texts[f"{int(generator.integers(100))} {', '.join(parts)}"] = None
    return list(texts)


def write_corpus(path: Path, count: int, encoding: str = "utf-8") -> Path:
    """One text a line."""
    path.write_text("\n".join(corpus(count)) + "\n", encoding=encoding)
    return path
