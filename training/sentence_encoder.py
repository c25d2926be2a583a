"""A sentence encoder as one module: encoder and pooling, one vector a text.

Its checkpoint folder is one that sentence-transformers reads, too:

    config.json, model.safetensors    the encoder
    1_Pooling/config.json             what stands for a text
    modules.json                      encoder, pooling, normalisation
    sentence_bert_config.json         tokens that a text is cut to
"""

from __future__ import annotations

import json
from pathlib import Path

from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel

from training.encoders import POOLING_MODES, Pooling, stored_pooling
from training.heads import load_encoder, pooled

MODULES = (("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize"))


class SentenceEncoder(nn.Module):
    """Vectors float32 [batch, width] of int64 ids and masks [batch, sequence]; not normalised."""

    def __init__(self, encoder: PreTrainedModel, pooling: Pooling) -> None:
        super().__init__()
        self.encoder = encoder
        self.pooling = pooling
        self.config: PretrainedConfig = encoder.config

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """The text's vector."""
        return pooled(self.encoder, self.pooling, input_ids, attention_mask, token_type_ids)

    def save(self, folder: Path, max_length: int) -> None:
        """Writes the checkpoint folder (without the tokenizer)."""
        folder.mkdir(parents=True, exist_ok=True)
        self.encoder.save_pretrained(folder)
        modes = {name: mode == self.pooling for name, mode in POOLING_MODES.items()}
        _write(
            folder / "1_Pooling" / "config.json", {"word_embedding_dimension": int(self.config.hidden_size), **modes}
        )
        _write(folder / "sentence_bert_config.json", {"max_seq_length": max_length, "do_lower_case": False})
        modules = [
            {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for number, (path, kind) in enumerate(MODULES)
        ]
        _write(folder / "modules.json", modules)

    @classmethod
    def load(cls, folder: Path) -> SentenceEncoder:
        """Reads what `save` wrote, in evaluation mode."""
        pooling = stored_pooling(folder)
        assert pooling is not None, f"{folder} has no 1_Pooling/config.json"
        return cls(load_encoder(str(folder)), pooling).eval()


def _write(path: Path, content: object) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
