"""A tokenizer without the tokens that texts in the scripts at hand cannot be made of, and the rows of embeddings that stay.

Texts of the scripts that stay become the same tokens as before, under other numbers: a piece of a word holds characters of the
word, so a piece with a letter of another script is never chosen. Letters of scripts that went become unknown.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from export.failures import ExportFailure
from export.manifest import TrimmedVocabulary
from export.rows import Row
from export.structure.scripts import scripts_in
from training.heads import Classifier

UNUSED = re.compile(r"\[unused\d+\]")
"""Places that BERT keeps for others; brackets are cut off before words are looked up, so no text has them."""


@dataclass(frozen=True, slots=True)
class Trimming:
    """Which tokens stay: their former numbers, in the order of their new ones."""

    kept: list[int]
    tokens_before: int
    scripts: list[str]
    """That went."""

    def numbers(self) -> dict[int, int]:
        """Former number -> new one."""
        return {former: new for new, former in enumerate(self.kept)}

    def record(self, width: int) -> TrimmedVocabulary:
        """For the manifest; `width` are the elements of an embedding."""
        saved = 4 * width * (self.tokens_before - len(self.kept))
        return TrimmedVocabulary(
            tokens=len(self.kept), tokens_before=self.tokens_before, scripts=self.scripts, bytes_saved=saved
        )


def trimming_of(content: dict[str, Any], embeddings: int, present: frozenset[str]) -> Trimming:
    """What stays of a tokenizer.json where texts have the scripts `present`. The encoder has so many `embeddings`.

    Raises ExportFailure for tokenizers whose tokens are no pieces of text.
    """
    kind = content["model"]["type"]
    if kind not in {"WordPiece", "Unigram"}:
        raise ExportFailure(
            f"--trim-vocabulary knows WordPiece and Unigram tokenizers; this one is {kind}, whose tokens are no pieces of text"
        )
    special = {token["content"] for token in content.get("added_tokens", [])}
    vocabulary: dict[str, int] = _vocabulary(content)
    gone_scripts: set[str] = set()
    kept = set()
    for token, number in vocabulary.items():
        foreign = scripts_in([token]) - present
        if token in special or not (foreign or (kind == "WordPiece" and UNUSED.fullmatch(token))):
            kept.add(number)
        gone_scripts |= foreign if token not in special else set()
    kept |= {token["id"] for token in content.get("added_tokens", [])}
    return Trimming(sorted(number for number in kept if number < embeddings), embeddings, sorted(gone_scripts))


def trimmed_tokenizer(content: dict[str, Any], trimming: Trimming) -> dict[str, Any]:
    """The tokenizer.json with the tokens that stay, under their new numbers."""
    numbers = trimming.numbers()
    new = copy.deepcopy(content)
    model = new["model"]
    if model["type"] == "WordPiece":
        model["vocab"] = {token: numbers[n] for token, n in content["model"]["vocab"].items() if n in numbers}
    else:
        model["vocab"] = [piece for number, piece in enumerate(content["model"]["vocab"]) if number in numbers]
        model["unk_id"] = None if model.get("unk_id") is None else numbers[model["unk_id"]]
    for token in new.get("added_tokens", []):
        token["id"] = numbers[token["id"]]
    if new.get("padding"):
        new["padding"]["pad_id"] = numbers[new["padding"]["pad_id"]]
    _renumber(new.get("post_processor"), numbers)
    return new


def _renumber(processor: dict[str, Any] | None, numbers: dict[int, int]) -> None:
    if processor is None:
        return
    for inner in processor.get("processors", []):
        _renumber(inner, numbers)
    for token in processor.get("special_tokens", {}).values():
        token["ids"] = [numbers[number] for number in token["ids"]]
    for side in ("sep", "cls"):
        if isinstance(processor.get(side), list):
            processor[side][1] = numbers[processor[side][1]]


def _vocabulary(content: dict[str, Any]) -> dict[str, int]:
    vocabulary = content["model"]["vocab"]
    if isinstance(vocabulary, dict):
        return vocabulary
    return {piece: number for number, (piece, _) in enumerate(vocabulary)}


def trim(model: Classifier, trimming: Trimming) -> None:
    """Takes the rows of embeddings away, in place. Raises ExportFailure where the padding token would get another number."""
    encoder = model.encoder
    padding = encoder.config.pad_token_id
    if padding is not None and trimming.numbers().get(padding) != padding:
        raise ExportFailure("--trim-vocabulary would move the padding token, which the encoder counts positions by")
    table = encoder.get_input_embeddings()
    rows = nn.Embedding(len(trimming.kept), table.embedding_dim, padding_idx=table.padding_idx)
    rows.weight = nn.Parameter(table.weight.detach()[torch.tensor(trimming.kept)].clone(), requires_grad=False)
    encoder.set_input_embeddings(rows)
    encoder.config.vocab_size = len(trimming.kept)


def write_trimmed(source: Path, target: Path, embeddings: int, texts: Sequence[str]) -> Trimming:
    """Writes the tokenizer file for texts in the scripts of these."""
    content = json.loads(source.read_text(encoding="utf-8"))
    trimming = trimming_of(content, embeddings, scripts_in(texts))
    target.write_text(json.dumps(trimmed_tokenizer(content, trimming), ensure_ascii=False), encoding="utf-8")
    return trimming


def require_same(before: Sequence[Row], after: Sequence[Row], trimming: Trimming) -> None:
    """Raises ExportFailure where a row does not have the same tokens under their new numbers."""
    numbers = trimming.numbers()
    for number, (former, new) in enumerate(zip(before, after, strict=True), start=1):
        if [numbers.get(token) for token in former.ids] != new.ids or former.types != new.types:
            raise ExportFailure(f"--trim-vocabulary would change the tokens of row {number}: export without it")
