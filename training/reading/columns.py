"""Which column is the text, which the label: by name when asked, by well-known names, then by shape."""

from __future__ import annotations

from dataclasses import dataclass

from training.data_settings import DataSettings
from training.failures import UnreadableData
from training.numbers import NUMBER
from training.reading.table import Table

TEXT_NAMES = (
    *(
        "text",
        "sentence",
        "content",
        "question",
        "query",
        "utterance",
        "review",
        "comment",
        "message",
        "body",
        "description",
    ),
    *("title", "headline", "文本", "内容", "句子", "问题", "评论", "正文", "标题"),
)
LABEL_NAMES = (
    *("label", "labels", "class", "category", "intent", "result", "sentiment", "target", "topic", "tag"),
    *("label_text", "类别", "标签", "分类", "意图", "情感"),
)
NUMBER_NAMES = ("score", "value", "rating", "stars", "target", "label", "similarity", "评分", "分数", "得分", "数值")
QUERY_NAMES = ("query", "question", "search", "text", "查询", "问题", "搜索词")
CANDIDATE_NAMES = (
    "candidate",
    "passage",
    "document",
    "answer",
    "response",
    "product",
    "text_pair",
    "候选",
    "文档",
    "段落",
    "答案",
    "回答",
)
RELEVANCE_NAMES = ("relevance", "score", "label", "grade", "rating", "target", "相关性", "相关度", "标签", "评分")
PAIR_NAMES = (("sentence1", "sentence2"), ("premise", "hypothesis"), ("question1", "question2"), ("text", "text_pair"))
SPLIT_NAMES = ("split",)
MAX_LABEL_SHARE = 0.5
"""A column found by shape is a label only if it has fewer distinct values than this share of the rows."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of the columns that matter; the rest are extra."""

    text: str
    label: str | None
    """None where labels do not matter, as of texts that belong together because they stand in one row."""
    text_pair: str | None
    split: str | None
    negative: str | None = None


def find_columns(table: Table, settings: DataSettings) -> Columns:
    """Raises UnreadableData that lists the columns when one is missing or cannot be told."""
    for asked in (settings.text, settings.text_pair, settings.label, settings.split):
        if asked is not None and asked not in table.columns:
            raise UnreadableData(f"{table.source} has no column {asked!r}; it has {table.listed}")
    by_name = table.by_name
    split = settings.split or _first(by_name, SPLIT_NAMES)
    if settings.label_kind == "relevance":
        return _of_pairs(table, by_name, settings, split)
    numbers = settings.label_kind == "number"
    label = settings.label or _first(by_name, NUMBER_NAMES if numbers else LABEL_NAMES)
    text, pair = _texts(table, settings.text, settings.text_pair, label, split)
    free = [name for name in table.columns if name not in {text, pair, label, split}]
    by_shape = _number_by_shape if numbers else _label_by_shape
    return Columns(text, label or by_shape(table, free), pair, split)


def find_texts(table: Table, settings: DataSettings) -> Columns:
    """The same, but the label, of a table that needs none; what the settings name is taken where the table has it.

    Raises UnreadableData that lists the columns when the text cannot be told.
    """
    text, pair, label, split = (
        name if name in table.columns else None
        for name in (settings.text, settings.text_pair, settings.label, settings.split)
    )
    by_name = table.by_name
    split = split or _first(by_name, SPLIT_NAMES)
    text, pair = _texts(table, text, pair, label or _first(by_name, LABEL_NAMES), split)
    return Columns(text, None, pair, split)


def _texts(
    table: Table, text: str | None, pair: str | None, label: str | None, split: str | None
) -> tuple[str, str | None]:
    if text is None:
        text, paired = _text_by_name(table.by_name, label)
        pair = pair or paired
    free = [name for name in table.columns if name not in {text, pair, label, split}]
    return text or _text_by_shape(table, free), pair


def _of_pairs(table: Table, by_name: dict[str, str], settings: DataSettings, split: str | None) -> Columns:
    """Query, candidate and relevance, which shape cannot tell from one another."""
    text = settings.text or _first(by_name, QUERY_NAMES)
    pair = settings.text_pair or _first(by_name, CANDIDATE_NAMES)
    label = settings.label or _first(by_name, RELEVANCE_NAMES)
    for what, found, flag in (
        ("the query", text, "--text"),
        ("the candidate", pair, "--text-pair"),
        ("the relevance", label, "--label"),
    ):
        if found is None:
            raise UnreadableData(
                f"{table.source}: no column is called like {what} among {table.listed}; name it with {flag}"
            )
    assert text is not None and pair is not None and label is not None
    return Columns(text, label, pair, split)


def find_text_columns(table: Table, asked: str | None) -> tuple[str, ...]:
    """The column of the text where there are no labels, or both of a known pair. Raises UnreadableData, as above."""
    if asked is not None and asked not in table.columns:
        raise UnreadableData(f"{table.source} has no column {asked!r}; it has {table.listed}")
    return tuple(filter(None, _texts(table, asked, None, None, None)))


def _text_by_name(by_name: dict[str, str], label: str | None) -> tuple[str | None, str | None]:
    for first, second in PAIR_NAMES:
        if first in by_name and second in by_name and label not in {by_name[first], by_name[second]}:
            return by_name[first], by_name[second]
    return _first({key: name for key, name in by_name.items() if name != label}, TEXT_NAMES), None


def _first(by_name: dict[str, str], candidates: tuple[str, ...]) -> str | None:
    return next((by_name[name] for name in candidates if name in by_name), None)


def _text_by_shape(table: Table, free: list[str]) -> str:
    """The column of the longest values, if it is clearly text."""
    means = {name: _mean_length(table, name) for name in free}
    best = max(means, key=lambda name: means[name], default=None)
    if best is None or means[best] < 1:
        raise UnreadableData(f"{table.source}: no column looks like text among {table.listed}; name it with --text")
    return best


def _label_by_shape(table: Table, free: list[str]) -> str:
    """The only column whose values repeat."""
    repeating = [name for name in free if 1 < _distinct(table, name) < MAX_LABEL_SHARE * len(table.records)]
    if len(repeating) == 1:
        return repeating[0]
    what = f"{' and '.join(map(repr, repeating))} both could be" if repeating else "none looks like"
    raise UnreadableData(f"{table.source}: {what} the label among {table.listed}; name it with --label")


def _number_by_shape(table: Table, free: list[str]) -> str:
    """The only column of numbers."""
    numeric = [name for name in free if _is_numeric(table, name)]
    if len(numeric) == 1:
        return numeric[0]
    what = f"{' and '.join(map(repr, numeric))} both hold numbers" if numeric else "none holds numbers"
    raise UnreadableData(f"{table.source}: {what} among {table.listed}; name the one to learn with --label")


def _is_numeric(table: Table, name: str) -> bool:
    cells = [(record.values.get(name) or "").strip() for record in table.records]
    return any(cells) and all(NUMBER.fullmatch(cell) for cell in cells if cell)


def _mean_length(table: Table, name: str) -> float:
    return sum(len(record.values.get(name) or "") for record in table.records) / max(1, len(table.records))


def _distinct(table: Table, name: str) -> int:
    return len({record.values.get(name) for record in table.records})
