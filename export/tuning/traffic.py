"""Where the lengths of the traffic come from: a file of texts, a file of lengths, or the bundle itself."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path

from tokenizers import Tokenizer

from export.bundle import Bundle
from export.encoder_texts import text_column
from export.failures import ExportFailure
from export.golden import Golden
from export.tuning.lengths import TokenLengths
from training.reading.source import read_table

METRIC = "bertline_inference_text_tokens_bucket"
"""The histogram that a server keeps of its texts' tokens."""
BUCKET = re.compile(rf"^{METRIC}{{(?P<labels>[^}}]*)}} (?P<texts>[0-9.e+]+)", re.MULTILINE)
LABEL = re.compile(r'(\w+)="([^"]*)"')


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


def lengths_of_file(path: Path, model: str) -> TokenLengths:
    """Of a JSON object of tokens -> texts that long, of a text file with the tokens of one text a line, or of a server's
    /metrics that somebody saved: what texts the model had there."""
    try:
        text = path.read_text(encoding="utf-8")
        if METRIC in text:
            return TokenLengths.of_counts(served_lengths(text, model), f"{path.name}: served by {model}")
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


def served_lengths(metrics: str, model: str) -> dict[int, int]:
    """Tokens -> texts, from the histogram of all versions of a model; in each bucket all have its middle length.

    Texts beyond the last bound are left out.
    """
    below: dict[int, float] = {0: 0.0}
    for line in BUCKET.finditer(metrics):
        labels = dict(LABEL.findall(line["labels"]))
        if labels.get("model") == model and labels.get("le", "+Inf") != "+Inf":
            bound = int(float(labels["le"]))
            below[bound] = below.get(bound, 0.0) + float(line["texts"])
    steps = pairwise(sorted(below.items()))
    counts = {(low + 1 + high) // 2: int(texts - fewer) for (low, fewer), (high, texts) in steps}
    return {length: texts for length, texts in counts.items() if texts > 0}
