"""parquet files and data sets of the Hugging Face hub: columns with types, through `datasets`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from training.failures import UnreadableData
from training.reading.table import Record, Table, joined


def read_parquet(path: Path, separator: str | None = None) -> Table:
    """Reads a parquet file; class-label and number columns become text, lists of words with a `separator` too."""
    columns, rows = typed_rows(path)
    return to_table(str(path), columns, rows, {}, separator)


def typed_rows(path: Path) -> tuple[list[str], list[dict[str, Any]]]:
    """Columns and rows of a parquet file as Python values. Raises UnreadableData."""
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise UnreadableData(f"{path} is not a readable parquet file ({error})") from None
    return table.column_names, table.to_pylist()


def read_hub(identifier: str, separator: str | None = None) -> dict[str, Table]:
    """Split name -> table of a hub data set (`owner/name` or `owner/name:configuration`)."""
    from datasets import ClassLabel, DatasetDict, load_dataset

    name, _, configuration = identifier.partition(":")
    try:
        loaded = load_dataset(name, configuration or None)
    except Exception as error:  # the hub client raises dozens of types; each means "could not get it"
        raise UnreadableData(
            f"{identifier} is neither a file here nor a data set that could be loaded from the hub "
            f"({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}); check the name and the network"
        ) from None
    splits = loaded if isinstance(loaded, DatasetDict) else {"train": loaded}
    tables = {}
    for split, part in splits.items():
        kinds = {key: getattr(feature, "feature", feature) for key, feature in part.features.items()}
        names = {key: kind.names for key, kind in kinds.items() if isinstance(kind, ClassLabel)}
        tables[str(split)] = to_table(f"{identifier}[{split}]", part.column_names, part.to_list(), names, separator)
    return tables


def to_table(
    source: str,
    columns: list[str],
    rows: list[dict[str, Any]],
    names: dict[str, list[str]],
    separator: str | None = None,
) -> Table:
    """Rows of typed values as text. `names` maps class-label columns to their labels' names."""
    if not rows:
        raise UnreadableData(f"{source} has no rows")

    def text(value: object, name: str, number: int) -> str | None:
        named = names.get(name)
        if isinstance(value, list) and separator is not None:
            words: list[object] = [_text(each, name, number, source, named) for each in value]
            value = joined(words, separator, f"{source}, row {number}, column {name!r}")
        return _text(value, name, number, source, named)

    records = [
        Record(number, {name: text(row[name], name, number) for name in columns})
        for number, row in enumerate(rows, start=1)
    ]
    return Table(source, columns, records)


def _text(value: object, column: str, number: int, source: str, names: list[str] | None) -> str | None:
    if value is None or value == "":
        return None
    if names is not None and isinstance(value, int):
        return names[value] if 0 <= value < len(names) else None  # -1 marks rows without a label on the hub
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            raise UnreadableData(f"{source}, row {number}, column {column!r}: bytes that are not UTF-8") from None
    if isinstance(value, list | dict):
        return None  # a nested column is no text and no label; finding columns passes it over
    return str(value).lower() if isinstance(value, bool) else str(value)
