"""A sentence encoder with its tokenizer, as it is compared with its variants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from export.rows import Row, feed, tokenize
from training.dataset import Example
from training.encoders import Pooling
from training.heads import load_encoder
from training.sentence_encoder import SentenceEncoder

BATCH = 32
Feed = dict[str, NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class Encoder:
    """A loaded encoder and the file of its tokenizer."""

    module: SentenceEncoder
    tokenizer: Path
    max_length: int

    @property
    def width(self) -> int:
        """Elements of a vector."""
        return int(self.module.config.hidden_size)

    @property
    def pad(self) -> int:
        """Id of the padding token."""
        return int(self.module.config.pad_token_id or 0)

    def rows(self, texts: Sequence[str]) -> list[Row]:
        """Tokenized as the server does it."""
        return tokenize([Example(text, "") for text in texts], self.tokenizer, self.max_length)

    def vectors(self, rows: list[Row]) -> NDArray[np.float32]:
        """What PyTorch says: float32 [rows, width], in their order."""
        result = np.empty((len(rows), self.width), np.float32)
        order = sorted(range(len(rows)), key=lambda position: len(rows[position].ids))
        for start in range(0, len(order), BATCH):
            positions = order[start : start + BATCH]
            names = {"input_ids", "attention_mask", "token_type_ids"}
            result[positions] = self.run(feed([rows[position] for position in positions], names, self.pad))
        return result

    def run(self, batch: Feed) -> NDArray[np.float32]:
        """The same of a prepared batch."""
        with torch.inference_mode():
            vectors = self.module(**{name: torch.from_numpy(value) for name, value in batch.items()})
        return cast("NDArray[np.float32]", vectors.numpy())


def open_encoder(location: str, pooling: Pooling, max_length: int | None, work: Path) -> Encoder:
    """Loads an encoder; its tokenizer is written below `work`. Raises InvalidSettings when it cannot be had.

    `max_length` None: as the encoder's sentence_bert_config.json says, else 256; never more than it has positions for.
    """
    from training.failures import InvalidSettings
    from training.model_making import load_tokenizer, position_limit

    tokenizer = load_tokenizer(location)
    tokenizer.save_pretrained(work / "tokenizer")
    module = SentenceEncoder(load_encoder(location), pooling).eval()
    limit = position_limit(module.config)
    if max_length is not None and not 8 <= max_length <= limit:
        raise InvalidSettings(f"max_length {max_length} must be 8 to {limit}, the positions of {location}")
    length = max_length or min(limit, _trained_length(location))
    return Encoder(module, work / "tokenizer" / "tokenizer.json", length)


def _trained_length(location: str) -> int:
    from pydantic import BaseModel

    class Config(BaseModel):
        max_seq_length: int = 256

    file = Path(location) / "sentence_bert_config.json"
    return Config.model_validate_json(file.read_bytes()).max_seq_length if file.is_file() else 256
