"""Prefix tuning: keys and values that every token of every layer attends to beside those of the text (Li and Liang 2021).

They stand before the text for attention alone: no position is theirs, so that a text may be as long as without them, and
pooling does not see them.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import DynamicCache, PretrainedConfig, PreTrainedModel

from training.failures import InvalidSettings

AFTER_PADDING = frozenset({"roberta", "xlm-roberta", "camembert"})
"""Types of encoders that number places from behind the id of the padding token, 1: two rows of their tables are no token's."""


class LayerPrefix(nn.Module):
    """Of one layer: keys and values, float32 [heads, length, width of a head]."""

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        super().__init__()
        self.keys = nn.Parameter(keys)
        self.values = nn.Parameter(values)


class Prefix(nn.Module):
    """Of all layers."""

    def __init__(self, layers: list[LayerPrefix]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.length = layers[0].keys.shape[1]
        """Keys a layer."""

    def cache(self, texts: int) -> DynamicCache:
        """As what an encoder takes for tokens that it has read before, the same of each text of the batch."""
        cache = DynamicCache()
        for number, layer in enumerate(cast("Iterable[LayerPrefix]", self.layers)):
            keys, values = (each.expand(texts, -1, -1, -1) for each in (layer.keys, layer.values))
            cache.update(keys, values, number)
        return cache


def add_prefix(encoder: PreTrainedModel, length: int) -> None:
    """Makes the encoder attend to a new prefix, in place; names and values of its own weights stay.

    The prefix begins as the keys and values of a text of `length` random tokens, since random numbers learn slowly and badly
    (Li and Liang, section 7.4). Raises InvalidSettings for encoders that take no keys and values, or have no such long texts.
    """
    kind, limit = encoder.config.model_type, encoder.config.max_position_embeddings
    if "past_key_values" not in inspect.signature(encoder.forward).parameters:
        raise InvalidSettings(f"method: encoders of type {kind!r} cannot be given a prefix; use adapters or lora")
    if length >= limit:
        raise InvalidSettings(f"prefix_length: {length} is more than a text of this encoder can have ({limit} tokens)")
    ids = torch.randint(encoder.config.vocab_size, (1, length))
    encoder.add_module("prefix", Prefix(_read(encoder, ids)))
    encoder.register_forward_pre_hook(_prefixed, with_kwargs=True)


def _read(encoder: PreTrainedModel, ids: Tensor) -> list[LayerPrefix]:
    cache, training = DynamicCache(), encoder.training
    encoder.eval()
    with torch.no_grad():
        encoder(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            position_ids=positions(encoder.config, ids),
            past_key_values=cache,
        )
    encoder.train(training)
    return [LayerPrefix(layer.keys[0].clone(), layer.values[0].clone()) for layer in cache.layers]


def _prefixed(encoder: Any, args: tuple[Any, ...], inputs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    seen = mask.new_ones((mask.shape[0], encoder.prefix.length))
    added = {
        "attention_mask": torch.cat([seen, mask], dim=1),
        # left to itself, the encoder would count from the end of the prefix
        "position_ids": positions(encoder.config, ids),
        "past_key_values": encoder.prefix.cache(ids.shape[0]),
    }
    return args, {**inputs, **added}


def positions(config: PretrainedConfig, ids: Tensor) -> Tensor:
    """Numbers of the tokens' places as they are without a prefix, int64 [batch or 1, sequence]."""
    if config.model_type in AFTER_PADDING:
        real = ids.ne(config.pad_token_id).to(torch.int64)
        return real.cumsum(dim=1) * real + int(config.pad_token_id)
    return torch.arange(ids.shape[1], device=ids.device).unsqueeze(0)
