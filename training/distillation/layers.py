"""A shorter encoder made of some of another one's layers, and what both make of a text on the way."""

from __future__ import annotations

import copy
import re
from collections import defaultdict
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PretrainedConfig, PreTrainedModel

from training.failures import InvalidSettings
from training.heads import blank_encoder
from training.optimization import LAYER, layer_of

LAYER_MODULE = re.compile(LAYER.pattern.removesuffix(r"\.") + "$")
"""The name of the module that is a layer."""


def chosen_layers(wanted: int, layers: int) -> list[int]:
    """`wanted` of the layers 1, 2, ..., `layers`, evenly spaced, the last one included: 2, 4, 6 for 3 of 6.

    The last one is what the teacher's head was trained on.
    """
    return [-(-number * layers // wanted) for number in range(1, wanted + 1)]


def layers_of(config: PretrainedConfig) -> int:
    """How many layers the encoder has."""
    return int(config.num_hidden_layers)


def require_stack(config: PretrainedConfig) -> None:
    """Raises InvalidSettings for encoders whose layers cannot take one another's places.

    ALBERT has one layer for all places. In ModernBERT the first has no norm, and which of them see the whole text, every third,
    follows from their number.
    """
    with torch.device("meta"):
        names = blank_encoder(config).state_dict()
    weights: dict[int, set[str]] = defaultdict(set)
    for name in names:
        if found := LAYER.search(name):
            weights[layer_of(name)].add(name[found.end() :])
    alike = all(each == weights[1] for each in weights.values())
    if set(weights) != set(range(1, layers_of(config) + 1)) or not alike:
        raise InvalidSettings(
            f"layers: the layers of {config.model_type} encoders cannot take the places of one another; distil without "
            "--layers into another --model"
        )


def shortened(encoder: PreTrainedModel, kept: list[int]) -> PreTrainedModel:
    """A new encoder of the layers `kept`, numbered 1, 2, ... from below, with a copy of all weights outside of the layers.

    Of an encoder that `require_stack` lets pass and that has no additions.
    """
    config = copy.deepcopy(encoder.config)
    config.num_hidden_layers = len(kept)
    if getattr(config, "layer_types", None):
        config.layer_types = [encoder.config.layer_types[layer - 1] for layer in kept]
    student = blank_encoder(config)
    names = encoder.state_dict()
    weights = {_renumbered(name, kept): weight for name, weight in names.items() if layer_of(name) in {0, *kept}}
    student.load_state_dict(weights)
    return student


def _renumbered(name: str, kept: list[int]) -> str:
    layer = layer_of(name)
    found = LAYER.search(name)
    if not layer or found is None:
        return name
    return f"{name[: found.start(1)]}{kept.index(layer)}{name[found.end(1) :]}"


class LayerOutputs:
    """Keeps what some layers of an encoder put out in its latest forward pass, [batch, sequence, width] each.

    By hooks, which work for every architecture and change neither the model's configuration nor what it returns.
    """

    def __init__(self, encoder: nn.Module, layers: list[int]) -> None:
        found = {
            int(match.group(1)) + 1: m for name, m in encoder.named_modules() if (match := LAYER_MODULE.search(name))
        }
        self._layers = layers
        self._latest: dict[int, Tensor] = {}
        self._hooks = [found[layer].register_forward_hook(self._keeper(layer)) for layer in layers]

    def latest(self) -> list[Tensor]:
        """In the order of `layers`; then they are forgotten."""
        taken = [self._latest[layer] for layer in self._layers]
        self._latest.clear()
        return taken

    def release(self) -> None:
        """Leaves the encoder as it was."""
        for hook in self._hooks:
            hook.remove()
        self._latest.clear()

    def _keeper(self, layer: int) -> Any:
        def keep(module: nn.Module, inputs: Any, output: Any) -> None:
            self._latest[layer] = output[0] if isinstance(output, tuple) else output

        return keep


def hidden_distance(student: list[Tensor], teacher: list[Tensor], attention_mask: Tensor) -> Tensor:
    """Mean over layers and real tokens of 1 - cosine, in 0..2; it does not depend on the scale of an encoder's states.

    Each [batch, sequence, width] in float32; `attention_mask` [batch, sequence]. PKD's mean square of normalised states is the
    same up to a factor.
    """
    mask = attention_mask.to(torch.float32)
    distances = [
        1.0 - functional.cosine_similarity(one.float(), other.float(), dim=-1)
        for one, other in zip(student, teacher, strict=True)
    ]
    return (torch.stack(distances).mean(dim=0) * mask).sum() / mask.sum()
