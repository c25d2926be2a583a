"""Which weights learn how fast."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

from torch import nn

from training.heads import Classifier
from training.sentence_encoder import SentenceEncoder
from training.settings import FineTuneSettings

UNDECAYED = re.compile(r"bias$|norm|(?:^|\.)ln_", re.IGNORECASE)
"""Biases and normalisation."""
LAYER = re.compile(r"(?:^|\.)(?:layers?|h)\.(\d+)\.")
"""The number of a transformer's layer in the name of one of its weights: BERT's layer.3., GPT-2's h.3., others' layers.3."""


def parameter_groups(
    model: Classifier | SentenceEncoder, settings: FineTuneSettings, rate: float
) -> list[dict[str, Any]]:
    """The trained weights in groups of one rate: no weight decay on biases and normalisation, the head at its own rate.

    With `layer_rate_decay` each layer of the encoder learns slower than the one above it.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = defaultdict(list)
    trained = [(name, p) for name, p in model.encoder.named_parameters() if p.requires_grad]
    top = max((layer_of(name) for name, _ in model.encoder.named_parameters()), default=0)
    for name, parameter in trained:
        decay = 0.0 if UNDECAYED.search(name) else settings.weight_decay
        groups[rate * settings.layer_rate_decay ** (top - layer_of(name)), decay].append(parameter)
    if isinstance(model, Classifier):
        groups[rate * settings.head_rate_factor, 0.0] += model.classifier.parameters()
    return [{"params": weights, "lr": lr, "weight_decay": decay} for (lr, decay), weights in groups.items()]


def layer_of(name: str) -> int:
    """1, 2, ... from below for the weights of a layer; 0 for what lies below them, such as embeddings."""
    found = LAYER.search(name)
    return 1 + int(found.group(1)) if found else 0
