"""From a bundle of the registry to one proven ONNX file that needs no tokenizer beside it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import onnx
from tokenizers import Tokenizer

from export.bundle import Bundle
from export.failures import ExportFailure
from export.manifest import Variant
from export.text_graph.joining import Reading, joined
from export.text_graph.proof import Input, TextProof, prove_reading, prove_results
from export.text_graph.results import check_task
from export.text_graph.texts import proving_texts
from export.text_graph.tokenizer_parts import TokenizerParts

Inputs = Literal["text", "tokens"]


@dataclass(frozen=True, slots=True)
class Written:
    """The file, the variant inside, and what was proven."""

    path: Path
    variant: Variant
    proof: TextProof
    inputs: list[str]
    outputs: list[str]


def write_text_graph(
    bundle: Bundle, path: Path, variant: str | None = None, texts: Sequence[str] = (), inputs: Inputs = "text"
) -> Written:
    """Writes `path` once everything is proven, on awkward and drawn texts and on `texts`; what lay there is replaced.

    `inputs` "tokens": without a tokenizer, token ids in and results out. Raises ExportFailure for what a graph cannot do,
    ParityNotProven for one that reads a text otherwise than the tokenizer.
    """
    manifest = bundle.manifest
    check_task(manifest)
    if not path.parent.is_dir():
        raise ExportFailure(f"{path.parent} is no folder: make it first, or name another file")
    chosen = _variant(bundle, variant)
    file = bundle.file(manifest.tokenizer)
    tokenizer = _tokenizer(file, manifest.max_length)
    added = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
    drawn = proving_texts(sorted(tokenizer.get_vocab()), added, manifest.max_length)
    tried = _inputs([*texts, *drawn], manifest.pair)
    reading, count = None, 0
    if inputs == "text":
        parts = TokenizerParts.read(file)
        reading = Reading.of(parts, manifest.pair, manifest.max_length, manifest.pad_token_id)
        count = prove_reading(reading.model(), tokenizer, tried)
    model = joined(bundle, chosen, reading)
    largest = prove_results(model, bundle, chosen, tokenizer, tried, reading is not None)
    _save(model, path)
    named = [each.name for each in model.graph.input], [each.name for each in model.graph.output]
    return Written(path, chosen, TextProof(count, largest), *named)


def _tokenizer(file: Path, max_length: int) -> Tokenizer:
    """As the server and the parity gate read texts."""
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length)
    return tokenizer


def _variant(bundle: Bundle, name: str | None) -> Variant:
    variants = bundle.manifest.variants
    if name is None:
        return next((each for each in variants if each.device in {"any", "cpu"}), variants[0])
    found = next((each for each in variants if each.name == name), None)
    if found is None:
        held = ", ".join(each.name for each in variants)
        raise ExportFailure(f"{bundle.manifest.name} has no variant {name!r}; it has: {held}")
    return found


def _inputs(texts: Sequence[str], pair: bool) -> list[Input]:
    """The texts, or each beside another one, so that long stands beside short in both orders."""
    if not pair:
        return list(texts)
    return list(zip(texts, reversed(texts), strict=True))


def _save(model: onnx.ModelProto, path: Path) -> None:
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        onnx.save(model, aside)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
