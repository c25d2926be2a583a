"""A task head on a pre-trained encoder, as one module that trains, saves, loads and exports.

The checkpoint folder is

    config.json         the encoder's configuration
    model.safetensors   the encoder's weights
    head.safetensors    the head's weights
    head.json           `HeadSettings`
    tokenizer.json ...  the tokenizer
    addition.*          what a method added to the encoder, if it stays apart: see `training.additions`

`SequenceClassifier` answers for a text, `TokenClassifier` for each of its tokens; `load_model` reads either.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

import torch
from pydantic import BaseModel, ConfigDict, model_validator
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, MODEL_FOR_MASKED_LM_MAPPING_NAMES

from training.additions import load_addition, save_encoder
from training.encoders import Pooling


class HeadSettings(BaseModel):
    """Shape of a head on whole texts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["sequence", "token"] = "sequence"
    """What the head answers for: a text, or each of its tokens."""
    labels: list[str]
    """One output each; none: the one output is a number, or a relevance."""
    pooling: Pooling | None
    """None for tokens, each of which stands for itself."""
    dropout: float = 0.1

    @property
    def outputs(self) -> int:
        """Elements of the output."""
        return max(1, len(self.labels))

    @model_validator(mode="after")
    def _consistent(self) -> HeadSettings:
        if (self.pooling is None) is (self.kind == "sequence"):
            raise ValueError("a head for texts needs a pooling, one for tokens has none")
        return self


def mean_pool(hidden: Tensor, attention_mask: Tensor) -> Tensor:
    """Mean over the real tokens. `hidden` [batch, sequence, width], `attention_mask` [batch, sequence] of 0 and 1."""
    mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
    total: Tensor = (hidden * mask).sum(dim=1)
    return total / mask.sum(dim=1).clamp(min=1.0)


def last_token(hidden: Tensor, attention_mask: Tensor) -> Tensor:
    """The last real token's row, [batch, width], whatever padding follows it."""
    positions = torch.arange(hidden.shape[1], device=hidden.device)
    last = (attention_mask * positions).max(dim=1).values
    return hidden.gather(1, last.view(-1, 1, 1).expand(-1, 1, hidden.shape[2])).squeeze(1)


def pooled(
    encoder: PreTrainedModel,
    pooling: Pooling,
    input_ids: Tensor,
    attention_mask: Tensor,
    token_type_ids: Tensor | None = None,
) -> Tensor:
    """One vector a text, [batch, width], of int64 ids and masks [batch, sequence]."""
    hidden = hidden_states(encoder, input_ids, attention_mask, token_type_ids)
    if pooling == "mean":
        return mean_pool(hidden, attention_mask)
    return last_token(hidden, attention_mask) if pooling == "last" else hidden[:, 0]


def hidden_states(
    encoder: PreTrainedModel, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
) -> Tensor:
    """One vector a token, [batch, sequence, width], of int64 ids and masks [batch, sequence]."""
    inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
    if token_type_ids is not None and takes_token_types(encoder.config):
        inputs["token_type_ids"] = token_type_ids
    hidden: Tensor = encoder(**inputs).last_hidden_state
    return hidden


class Classifier(nn.Module):
    """Encoder, dropout and one linear layer; what of the encoder the layer reads is up to the kind of head."""

    def __init__(self, encoder: PreTrainedModel, settings: HeadSettings) -> None:
        super().__init__()
        self.encoder = encoder
        self.settings = settings
        self.config: PretrainedConfig = encoder.config
        self.dropout = nn.Dropout(settings.dropout)
        self.classifier = nn.Linear(self.config.hidden_size, settings.outputs)
        nn.init.normal_(self.classifier.weight, std=0.02)
        nn.init.zeros_(self.classifier.bias)

    def shift(self, by: float) -> None:
        """Adds to every logit."""
        with torch.no_grad():
            self.classifier.bias.add_(by)

    def save(self, folder: Path) -> None:
        """Writes the checkpoint folder (without the tokenizer)."""
        folder.mkdir(parents=True, exist_ok=True)
        save_encoder(self.encoder, folder)
        save_file({name: tensor.contiguous() for name, tensor in self.classifier.state_dict().items()}, _head(folder))
        (folder / "head.json").write_text(self.settings.model_dump_json(indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads what `save` wrote, in evaluation mode."""
        settings = HeadSettings.model_validate_json((folder / "head.json").read_text(encoding="utf-8"))
        encoder = load_encoder(str(folder))
        load_addition(encoder, folder)
        model = cls(encoder, settings)
        model.classifier.load_state_dict(load_file(_head(folder)))
        return model.eval()


class SequenceClassifier(Classifier):
    """Answers for a text by its pooled vector: logits [batch, outputs], one a label, or one number."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """Logits float32 [batch, outputs] of int64 ids and masks [batch, sequence]."""
        vectors = self.vectors(input_ids, attention_mask, token_type_ids)
        logits: Tensor = self.classifier(self.dropout(vectors))
        return logits

    def vectors(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """What the linear layer reads, without dropout: float32 [batch, width]."""
        pooling = self.settings.pooling
        assert pooling is not None
        return pooled(self.encoder, pooling, input_ids, attention_mask, token_type_ids)


class TokenClassifier(Classifier):
    """Answers for each token: logits [batch, sequence, labels]."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """Logits float32 [batch, sequence, labels] of int64 ids and masks [batch, sequence]; those of padding mean nothing."""
        vectors = hidden_states(self.encoder, input_ids, attention_mask, token_type_ids)
        logits: Tensor = self.classifier(self.dropout(vectors))
        return logits


HEADS: dict[str, type[Classifier]] = {"sequence": SequenceClassifier, "token": TokenClassifier}


def load_model(folder: Path) -> Classifier:
    """Reads a checkpoint folder with the kind of head that it was saved with, in evaluation mode."""
    settings = HeadSettings.model_validate_json((folder / "head.json").read_text(encoding="utf-8"))
    return HEADS[settings.kind].load(folder)


def load_encoder(location: str) -> PreTrainedModel:
    """A bare encoder from a folder or a hub id, without the pooling layer that some checkpoints carry."""
    config = AutoConfig.from_pretrained(location)
    if is_causal(config):
        # nothing is generated: keys and values of earlier tokens need not be kept
        config.use_cache = False
    return AutoModel.from_pretrained(location, config=config, dtype=torch.float32, **_without_pooling_layer(config))


def blank_encoder(config: PretrainedConfig) -> PreTrainedModel:
    """A bare encoder of that configuration with random weights, float32."""
    return AutoModel.from_config(config, dtype=torch.float32, **_without_pooling_layer(config))


def _without_pooling_layer(config: PretrainedConfig) -> dict[str, bool]:
    return {"add_pooling_layer": False} if config.model_type in {"bert", "roberta", "xlm-roberta"} else {}


def is_causal(config: PretrainedConfig) -> bool:
    """Whether the model is a decoder, in which each token sees only those before it, such as GPT-2."""
    kind = config.model_type
    return kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and kind not in MODEL_FOR_MASKED_LM_MAPPING_NAMES


def takes_token_types(config: PretrainedConfig) -> bool:
    """Whether the encoder reads token_type_ids (segment ids); DistilBERT and RoBERTa, for instance, do not."""
    return int(getattr(config, "type_vocab_size", 0) or 0) > 1


def _head(folder: Path) -> Path:
    return folder / "head.safetensors"
