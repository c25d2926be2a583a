"""What a tokenizer.json consists of, as far as a graph can do the same; everything else is refused by name.

A graph works character by character, so what it can do is BERT's: BertNormalizer, BertPreTokenizer, WordPiece. Other normalisers
look at neighbours (NFC, regular expressions, SentencePiece's tables), other models merge by rank or probability.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from export.failures import ExportFailure
from export.text_graph.template import Template

INSTEAD = "give clients the bundle's tokenizer.json and an .onnx file, or serve the model"


@dataclass(frozen=True, slots=True)
class TokenizerParts:
    """A WordPiece tokenizer. `added` are tokens that are cut out of the text before anything else, with their ids."""

    tokenizer: Tokenizer
    vocabulary: dict[str, int]
    unknown: str
    prefix: str
    """Of pieces that go on with a word."""
    longest_word: int
    """Characters; a longer word is unknown."""
    added: dict[str, int]
    single: Template
    pair: Template

    @classmethod
    def read(cls, file: Path) -> TokenizerParts:
        """Raises ExportFailure that names the part that no graph can do."""
        content = json.loads(file.read_text(encoding="utf-8"))
        _check(content)
        tokenizer = Tokenizer.from_file(str(file))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        model = content["model"]
        return cls(
            tokenizer,
            dict(model["vocab"]),
            model["unk_token"],
            model["continuing_subword_prefix"],
            model["max_input_chars_per_word"],
            {token["content"]: token["id"] for token in content["added_tokens"]},
            Template.of(tokenizer.encode("a")),
            Template.of(tokenizer.encode("a", "a")),
        )


def _check(content: dict[str, Any]) -> None:
    for part, wanted in (
        ("model", "WordPiece"),
        ("normalizer", "BertNormalizer"),
        ("pre_tokenizer", "BertPreTokenizer"),
    ):
        kind = (content.get(part) or {}).get("type")
        if kind != wanted:
            raise ExportFailure(f"the tokenizer's {part} is {kind}, a graph can only do {wanted}: {INSTEAD}")
    if content["model"]["unk_token"] not in content["model"]["vocab"]:
        raise ExportFailure(f"the tokenizer's vocabulary lacks its own unknown token: {INSTEAD}")
    for token in content["added_tokens"]:
        asked = [name for name in ("normalized", "lstrip", "rstrip", "single_word") if token[name]]
        if asked:
            raise ExportFailure(
                f"the tokenizer's added token {token['content']!r} is {' and '.join(asked)}, which a graph cannot do: {INSTEAD}"
            )
