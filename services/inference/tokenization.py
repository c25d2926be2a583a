"""Texts to token ids, by the bundle's tokenizer.json (Rust tokenizers)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from services.inference.prediction import Encoded, TextInput


class Tokenization:
    """Encodes texts for one model, cutting on the right at `max_length` tokens (special tokens included)."""

    def __init__(self, file: Path, max_length: int) -> None:
        self._tokenizer = Tokenizer.from_file(str(file))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length, strategy="longest_first", direction="right")
        self.vocabulary_size: int = self._tokenizer.get_vocab_size()
        self.max_length = max_length

    def encode(self, text: TextInput) -> Encoded:
        """Ids and segment ids, int64 [tokens], of one text or pair. Releases the GIL while it works."""
        encoding = self._tokenizer.encode(text.text, text.text_pair)
        ids = np.array(encoding.ids, np.int64)
        types = np.array(encoding.type_ids, np.int64) if text.text_pair is not None else np.zeros_like(ids)
        return Encoded(ids, types, bool(encoding.overflowing))
