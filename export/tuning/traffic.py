"""Where the lengths of the traffic come from: a file of texts, a file of lengths, or the bundle itself."""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import Tokenizer

from export.bundle import Bundle
from export.encoder_texts import text_column
from export.failures import ExportFailure
from export.golden import Golden
from export.tuning.lengths import TokenLengths
from training.reading.source import read_table


def texts_of(path: Path, column: str | None, pair_column: str | None) -> list[str | tuple[str, str]]:
    """Texts, or pairs of them, of a csv, tsv, jsonl or parquet file, or of a .txt file with one a line.

    Equal ones count as often as they come. Raises UnreadableData.
    """
    if not path.is_file():
        raise ExportFailure(f"{path} does not exist: give a file of texts with --texts")
    if path.suffix == ".txt":
        return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    table = read_table(path, None)
    name = text_column(table, column)
    if pair_column is not None:
        text_column(table, pair_column)
    rows = ((record.values.get(name), record.values.get(pair_column or "")) for record in table.records)
    return [(text, pair) if pair else text for text, pair in rows if text and not text.isspace()]


def lengths_of_texts(bundle: Bundle, texts: list[str | tuple[str, str]], source: str) -> TokenLengths:
    """As the server tokenizes them: by the bundle's tokenizer, cut on the right."""
    tokenizer = Tokenizer.from_file(str(bundle.file(bundle.manifest.tokenizer)))
    tokenizer.no_padding()
    tokenizer.enable_truncation(bundle.manifest.max_length)
    return TokenLengths.of((len(each.ids) for each in tokenizer.encode_batch(texts)), source)


def lengths_of_file(path: Path) -> TokenLengths:
    """Of a JSON object of tokens -> texts that long, or of a text file with the tokens of one text a line."""
    try:
        text = path.read_text(encoding="utf-8")
        if text.lstrip().startswith("{"):
            return TokenLengths.of_counts({int(key): int(texts) for key, texts in json.loads(text).items()}, path.name)
        return TokenLengths.of(map(int, text.split()), path.name)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ExportFailure(
            f'{path}: give the tokens of one text a line, or a JSON object as {{"12": 40, "13": 25}} of tokens and '
            f"texts that long ({error})"
        ) from None


def lengths_of_bundle(bundle: Bundle) -> TokenLengths:
    """Of the validation rows, which the manifest keeps; of an older bundle those of its few golden rows."""
    manifest = bundle.manifest
    if manifest.token_lengths:
        return TokenLengths.of_counts(manifest.token_lengths, "validation rows")
    golden = Golden.read(bundle.file(manifest.golden))
    return TokenLengths.of(map(len, golden.input_ids), "golden rows, a handful: give --texts for your own")
