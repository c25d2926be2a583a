"""Rows of a run as feeds for ONNX Runtime, tokenized as the server does it: by tokenizer.json alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from training.dataset import Example
from training.encoding import EncodedDataset, EncodedExample
from training.tagging.words import reads_of

Feed = dict[str, NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class Row:
    """Token ids and segment ids of one example, unpadded; where words are labelled, `reads` are the tokens that speak."""

    ids: list[int]
    types: list[int]
    reads: list[int] | None = None


def tokenize(examples: Sequence[Example], tokenizer_file: Path, max_length: int) -> list[Row]:
    """Tokenizes with truncation on the right and no padding."""
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length)
    inputs = [e.text if e.text_pair is None else (e.text, e.text_pair) for e in examples]
    encodings = zip(tokenizer.encode_batch(inputs), examples, strict=True)
    return [Row(encoding.ids, encoding.type_ids, reads_of(example)) for encoding, example in encodings]


def feed(rows: Sequence[Row], names: set[str], pad: int) -> Feed:
    """A batch padded on the right to its longest row, int64 [rows, longest], with the inputs in `names`."""
    longest = max(len(row.ids) for row in rows)
    ids = np.full((len(rows), longest), pad, np.int64)
    types = np.zeros((len(rows), longest), np.int64)
    mask = np.zeros((len(rows), longest), np.int64)
    for position, row in enumerate(rows):
        ids[position, : len(row.ids)] = row.ids
        types[position, : len(row.ids)] = row.types
        mask[position, : len(row.ids)] = 1
    batch = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
    return {name: batch[name] for name in batch if name in names}


def encoded(rows: Sequence[Row]) -> EncodedDataset:
    """The rows as training has them, without what is right of them."""
    return EncodedDataset([EncodedExample(row.ids, row.types, 0, reads=row.reads) for row in rows])
