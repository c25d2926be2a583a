"""The masked language model: a new BERT, or a checkpoint with its head."""

from __future__ import annotations

import torch
from transformers import AutoModelForMaskedLM, BertConfig, BertForMaskedLM, PreTrainedModel, PreTrainedTokenizerBase

from training.failures import InvalidSettings
from training.pretraining.settings import PretrainingSettings

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
