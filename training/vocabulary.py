"""Gives characters that a tokenizer does not know tokens of their own.

An English encoder reads most Chinese characters as [UNK]: texts of different meaning become the same row of unknowns.
New tokens start at the mean of the known embeddings, with a little noise to tell them apart, and learn from the
training rows; the model stays the same size but for those rows.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from training.han import is_han

MIN_COUNT = 2
MAX_NEW = 8_000
MIN_UNKNOWN_SHARE = 0.02
"""Below this share of unknown tokens the vocabulary is left alone."""
NOISE = 0.02


def missing_characters(texts: Iterable[str], tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Chinese characters that occur at least twice in the texts and that the vocabulary lacks, most frequent first.

    WordPiece tokenizers treat each as a word of its own.
    """
    counts = Counter(character for text in texts for character in text if is_han(character))
    vocabulary = tokenizer.get_vocab()
    return [c for c, count in counts.most_common(MAX_NEW) if count >= MIN_COUNT and c not in vocabulary]


def unknown_share(texts: list[str], tokenizer: PreTrainedTokenizerBase) -> float:
    """Share of [UNK] among the tokens of the texts, in [0, 1]."""
    if tokenizer.unk_token_id is None:
        return 0.0
    ids = [token for row in tokenizer(texts, add_special_tokens=False)["input_ids"] for token in row]
    return ids.count(tokenizer.unk_token_id) / max(1, len(ids))


def extend_tokenizer(source: Path, characters: list[str]) -> None:
    """Appends the characters to the WordPiece vocabulary of the tokenizer folder `source`, in tokenizer.json itself.

    They become ordinary vocabulary, not "added tokens": those would be cut out of the text before normalisation and
    cost time on every call.
    """
    path = source / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    vocabulary = content["model"]["vocab"]
    for character in characters:
        vocabulary.setdefault(character, len(vocabulary))
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    listed = source / "vocab.txt"
    if listed.is_file():
        listed.write_text("\n".join(sorted(vocabulary, key=lambda word: vocabulary[word])) + "\n", encoding="utf-8")


def is_wordpiece(source: Path) -> bool:
    """Whether the tokenizer folder holds a WordPiece tokenizer, the only kind that lacks characters this way."""
    path = source / "tokenizer.json"
    return path.is_file() and json.loads(path.read_text(encoding="utf-8"))["model"]["type"] == "WordPiece"


def extend_embeddings(encoder: PreTrainedModel, size: int, seed: int) -> None:
    """Grows the encoder's token embeddings to `size` rows."""
    old = encoder.get_input_embeddings().weight.detach()
    encoder.resize_token_embeddings(size, mean_resizing=False)
    new = encoder.get_input_embeddings().weight
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        rows = size - len(old)
        new[len(old) :] = old.mean(dim=0) + NOISE * torch.randn(rows, old.shape[1], generator=generator)
