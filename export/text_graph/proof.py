"""The gate of text graphs: nothing is written that reads a single text otherwise than the bundle's tokenizer, or answers
otherwise than the variant that is inside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from export.bundle import Bundle
from export.failures import ParityNotProven
from export.manifest import Variant
from export.measurement import Runner
from export.rows import Row, feed
from export.text_graph.joining import FEEDS, TEXT, TEXT_PAIR
from export.text_graph.results import Arrays, decided, expected

BATCH = 16
ANSWERED = 64
"""Texts whose results are compared."""
MAX_DIFFERENCE = 1e-4
"""Of results, in units of the scale where there is one: the same graph, optimised in another surrounding."""

Input = str | tuple[str, str]


@dataclass(frozen=True, slots=True)
class TextProof:
    """How many texts were read alike, and how far results were from those of the variant at most."""

    texts: int
    largest: float


def opened(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """A session of one thread on the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def text_feed(inputs: Sequence[Input]) -> dict[str, NDArray[np.object_]]:
    """What a text graph reads: arrays of str, [batch]."""
    if isinstance(inputs[0], str):
        return {TEXT: np.array(inputs, np.object_)}
    first, second = zip(*inputs, strict=True)
    return {TEXT: np.array(first, np.object_), TEXT_PAIR: np.array(second, np.object_)}


def prove_reading(reading: onnx.ModelProto, tokenizer: Tokenizer, inputs: Sequence[Input]) -> int:
    """Compares ids, mask and segments of every text, in batches of mixed lengths. Returns how many there were.

    The tokenizer cuts at the model's length and does not pad.
    Raises ParityNotProven that says how many are read otherwise, and shows the first.
    """
    session = opened(reading)
    wrong: list[Input] = []
    for batch in _batches(inputs):
        read = dict(zip(FEEDS, session.run(list(FEEDS), text_feed(batch)), strict=True))
        encodings = tokenizer.encode_batch(list(batch))
        wrong += [each for row, each in enumerate(batch) if not _alike(read, row, encodings[row])]
    if wrong:
        raise ParityNotProven(
            f"{len(wrong)} of {len(inputs)} texts get other token ids inside the graph, such as {wrong[0]!r}; nothing is written"
        )
    return len(inputs)


def _batches(inputs: Sequence[Input]) -> Iterator[Sequence[Input]]:
    for start in range(0, len(inputs), BATCH):
        yield inputs[start : start + BATCH]


def _alike(read: dict[str, NDArray[np.int64]], row: int, encoding: Encoding) -> bool:
    count = len(encoding.ids)
    mask = read["attention_mask"][row]
    return bool(
        mask[:count].all()
        and not mask[count:].any()
        and read["input_ids"][row, :count].tolist() == encoding.ids
        and read["token_type_ids"][row, :count].tolist() == encoding.type_ids
    )


def prove_results(
    model: onnx.ModelProto, bundle: Bundle, variant: Variant, tokenizer: Tokenizer, inputs: Sequence[Input], text: bool
) -> float:
    """Compares results with those of the variant on the same batches, computed apart. Returns the largest difference.

    `text`: whether the model reads texts; else it reads the tokenizer's ids. Raises ParityNotProven.
    """
    manifest = bundle.manifest
    session = opened(model)
    names = [output.name for output in session.get_outputs()]
    fed = {each.name for each in session.get_inputs()}
    runner = Runner(bundle.file(variant.file), manifest.pad_token_id)
    largest = 0.0
    for batch in _batches(inputs[:ANSWERED]):
        rows = [Row(each.ids, each.type_ids) for each in tokenizer.encode_batch(list(batch))]
        given = text_feed(batch) if text else feed(rows, fed, manifest.pad_token_id)
        results: Arrays = dict(zip(names, session.run(names, given), strict=True))
        wanted = expected(manifest, variant, runner.run(feed(rows, runner.names, manifest.pad_token_id)))
        unit = 1.0 if manifest.scale is None else manifest.scale.deviation
        for name, values in wanted.items():
            largest = max(largest, float(np.abs(results[name] - values).max()) / unit)
        for name, values in decided(manifest, variant, results).items():
            if not np.array_equal(results[name], values):
                raise ParityNotProven(f"the graph's {name} do not follow from its numbers; nothing is written")
    if not largest <= MAX_DIFFERENCE:
        raise ParityNotProven(
            f"results differ from those of {variant.name} by {largest:.2g}, more than {MAX_DIFFERENCE:.2g}; nothing is written"
        )
    return largest
