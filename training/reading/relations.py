"""Columns for sentence encoders: which texts belong together, and what says so."""

from __future__ import annotations

from dataclasses import replace

from training.data_settings import DataSettings
from training.dataset import Example
from training.failures import UnreadableData
from training.numbers import as_text, number_of
from training.reading.columns import PAIR_NAMES, Columns, find_columns
from training.reading.table import Record, Table

RELATED_NAMES = (
    *PAIR_NAMES,
    *(
        ("question", "answer"),
        ("query", "passage"),
        ("query", "document"),
        ("query", "positive"),
        ("anchor", "positive"),
    ),
    *(("title", "body"), ("问题", "答案"), ("问题", "回答"), ("句子1", "句子2")),
)
"""Names of two columns of texts that belong together; more than where pairs have labels, since there an answer is no pair."""
NEGATIVE_NAMES = ("negative", "hard_negative", "负例")
SCORE_NAMES = ("score", "similarity", "similarity_score", "label", "相似度", "得分", "标签")


def find_related_columns(table: Table, settings: DataSettings) -> Columns:
    """Raises UnreadableData that lists the columns when one is missing or cannot be told."""
    if settings.negative is not None and settings.negative not in table.columns:
        raise UnreadableData(f"{table.source} has no column {settings.negative!r}; it has {table.listed}")
    by_name = table.by_name
    first, second = settings.text, settings.text_pair
    if settings.relation != "label" and second is None:
        known = ((by_name[one], by_name[two]) for one, two in RELATED_NAMES if one in by_name and two in by_name)
        first, second = next((pair for pair in known if first in {None, pair[0]}), (first, None))
    if second is None:
        if settings.relation in {"pair", "score"}:
            raise UnreadableData(
                f"{table.source}: no pair of texts among {table.listed}; name it with --text and --text-pair"
            )
        return replace(find_columns(table, settings), text_pair=None)
    free = {key: name for key, name in by_name.items() if name not in {first, second}}
    # any column will do as the label here: what it is for is decided below
    found = find_columns(table, settings.model_copy(update={"text": first, "text_pair": second, "label": second}))
    negative = settings.negative or next((free[name] for name in NEGATIVE_NAMES if name in free), None)
    score = settings.label or next((free[name] for name in SCORE_NAMES if name in free), None)
    if settings.relation == "pair" or (settings.relation == "auto" and score is None):
        return replace(found, label=None, negative=negative)
    if score is None:
        raise UnreadableData(f"{table.source}: no column of similarities among {table.listed}; name it with --label")
    return replace(found, label=score)


def related_example(example: Example, record: Record, columns: Columns) -> Example:
    """The example without labels where it is a pair, with its similarity as a number. Raises UnreadableData where it is none."""
    if columns.text_pair is None:
        return example
    if columns.label is not None:
        value = _similarity(example, columns)
        return replace(example, value=value, label=as_text(value), labels=())
    negative = (record.values.get(columns.negative) or "").strip() if columns.negative is not None else ""
    return replace(example, labels=(), negative=negative or None)


def _similarity(example: Example, columns: Columns) -> float:
    try:
        return number_of(example.label)
    except ValueError as error:
        raise UnreadableData(
            f"{example.source}, line {example.row}, column {columns.label!r}: {error}; write how near the texts are, such as "
            "0.8, or say --relation pair if the texts of every row belong together"
        ) from None
