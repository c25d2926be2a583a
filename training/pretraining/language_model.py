"""The masked language model: a new BERT, or a checkpoint with its head."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForMaskedLM, BertConfig, BertForMaskedLM, PreTrainedModel, PreTrainedTokenizerBase

from training.failures import InvalidSettings
from training.pretraining.batches import Inputs
from training.pretraining.settings import PretrainingSettings

HEADS = ("cls", "lm_head", "generator_predictions", "vocab_transform", "predictions", "head")
"""What the models of transformers call the first layer of their head: BERT, RoBERTa, ELECTRA, DistilBERT, ALBERT, ModernBERT."""
FINE_TUNING_DROPOUT = 0.1


def new_model(settings: PretrainingSettings, tokenizer: PreTrainedTokenizerBase) -> BertForMaskedLM:
    """A BERT with random weights; the caller seeds torch."""
    config = BertConfig(
        vocab_size=len(tokenizer),
        num_hidden_layers=settings.layers,
        hidden_size=settings.hidden_size,
        num_attention_heads=settings.heads,
        intermediate_size=settings.intermediate_size,
        max_position_embeddings=settings.max_length,
        hidden_dropout_prob=settings.dropout,
        attention_probs_dropout_prob=settings.dropout,
        pad_token_id=tokenizer.pad_token_id,
    )
    return BertForMaskedLM(config)


def checkpoint_model(location: str) -> PreTrainedModel:
    """A checkpoint from a folder or hub id, with a new head where it has none. Raises InvalidSettings when it cannot be had."""
    try:
        return AutoModelForMaskedLM.from_pretrained(location, dtype=torch.float32)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InvalidSettings(f"the model {location!r} could not be loaded for masked words: {reason}") from None


class MaskedOnly:
    """Lets the head of a model compute the masked positions alone.

    The head is two fifths of a small model's work, and five sixths of its positions would be thrown away.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self._masked: Tensor | None = None
        found = next(
            (getattr(model, name) for name in HEADS if isinstance(getattr(model, name, None), nn.Module)), None
        )
        self._handle = found.register_forward_pre_hook(self._select) if found is not None else None

    def logits(self, model: nn.Module, inputs: Inputs) -> Tensor:
        """float32 [masked, vocabulary], row by row, of the model or of what a trainer has wrapped around it."""
        self._masked = inputs["masked"]
        given = {name: value for name, value in inputs.items() if name not in {"masked", "labels"}}
        try:
            logits: Tensor = model(**given).logits
        finally:
            self._masked = None
        return (logits if self._handle is not None else logits[inputs["masked"]]).float()

    def _select(self, head: nn.Module, arguments: tuple[Tensor, ...]) -> Any:
        return arguments if self._masked is None else (arguments[0][self._masked], *arguments[1:])
