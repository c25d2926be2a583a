"""Bottleneck adapters: small layers behind the two sublayers of each transformer layer (Houlsby et al. 2019)."""

from __future__ import annotations

import re
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

from training.failures import InvalidSettings

SUBLAYER_OUTPUT = re.compile(
    r"(?:attention\.output\.dense|output\.dense"  # BERT, RoBERTa, ELECTRA
    r"|attention\.attn\.o"  # MPNet
    r"|attention\.out_lin|ffn\.lin2"  # DistilBERT
    r"|attn\.c_proj|mlp\.c_proj"  # GPT-2
    r"|attn\.Wo|mlp\.Wo)$"  # ModernBERT
)
"""The linear layer that ends a sublayer, attention or feed-forward, before its input is added again."""


class Bottleneck(nn.Module):
    """Down to `inner` values, ReLU, up again, and the input added: float32 [..., width] to the same shape.

    It begins as the identity, so that training starts from what the encoder says.
    """

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.down = nn.Linear(width, inner)
        self.up = nn.Linear(inner, width)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        """What the sublayer says, corrected."""
        correction: Tensor = self.up(nn.functional.relu(self.down(hidden)))
        return hidden + correction


def add_adapters(encoder: PreTrainedModel, inner: int) -> None:
    """Puts a `Bottleneck` behind each sublayer, in place; names and values of the encoder's own weights stay.

    Raises InvalidSettings where it is not known what the encoder's layers are made of.
    """
    outputs = [module for name, module in encoder.named_modules() if SUBLAYER_OUTPUT.search(name)]
    if len(outputs) != 2 * encoder.config.num_hidden_layers:
        raise InvalidSettings(
            f"method: it is not known where adapters belong in encoders of type {encoder.config.model_type!r}; use lora"
        )
    for module in outputs:
        module.add_module("adapter", Bottleneck(encoder.config.hidden_size, inner))
        module.register_forward_hook(_adapted)


def _adapted(module: Any, inputs: Any, output: Tensor) -> Tensor:
    adapted: Tensor = module.adapter(output)
    return adapted
