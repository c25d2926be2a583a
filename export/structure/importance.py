"""What a part of a network is worth: how much the loss would change without it.

A part is multiplied by a gate of 1 for each row. To first order, closing the gate changes the row's loss by its gradient; the
mean of its absolute value over the rows is the part's importance (Michel, Levy and Neubig 2019, "Are Sixteen Heads Really
Better than One?"). For a neuron it is |activation x gradient|, summed over the text before the absolute value is taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export.structure.blocks import Block, blocks_of
from export.structure.material import Material
from training.distillation.layers import layers_of, shortened
from training.heads import Classifier

Scores = list[NDArray[np.float64]]
"""For each layer one number a part."""


def importance(model: Classifier, material: Material) -> tuple[Scores, Scores]:
    """Of the heads and of the neurons of each layer."""
    blocks = blocks_of(model.encoder)
    heads: Scores = [np.zeros(block.heads) for block in blocks]
    neurons: Scores = [np.zeros(block.neurons) for block in blocks]
    with _gates(blocks) as opened:
        for batch, labels in material.batches():
            opened.clear()
            loss = material.loss(model(**batch), labels)
            places = list(opened)
            gradients = torch.autograd.grad(loss, [opened[place] for place in places])
            for (number, kind), gradient in zip(places, gradients, strict=True):
                (heads if kind == "heads" else neurons)[number] += gradient.abs().sum(dim=0).double().numpy()
    count = len(material.rows)
    return [each / count for each in heads], [each / count for each in neurons]


@contextmanager
def _gates(blocks: list[Block]) -> Iterator[dict[tuple[int, str], Tensor]]:
    """Gates of the latest batch, float32 [rows, parts], by layer and kind of part."""
    opened: dict[tuple[int, str], Tensor] = {}

    def gate(number: int, kind: str, parts: int) -> Any:
        def multiplied(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            values = inputs[0]
            opened[number, kind] = torch.ones(len(values), parts, requires_grad=True)
            wide = opened[number, kind].repeat_interleave(values.shape[-1] // parts, dim=1)
            return (values * wide.unsqueeze(1), *inputs[1:])

        return multiplied

    hooks = []
    for number, block in enumerate(blocks):
        hooks.append(block.merge.register_forward_pre_hook(gate(number, "heads", block.heads)))
        hooks.append(block.shrink.register_forward_pre_hook(gate(number, "neurons", block.neurons)))
    try:
        yield opened
    finally:
        for hook in hooks:
            hook.remove()


def kept_heads(scores: Scores, share: float) -> list[list[int]]:
    """The heads of each layer that stay when `share` of all heads goes, the least important first.

    Scores are divided by their layer's norm, as Michel et al. do, so that layers can be compared. Each keeps its best head.
    """
    ranked = sorted(
        (value / max(float(np.linalg.norm(layer)), 1e-12), number, head)
        for number, layer in enumerate(scores)
        for head, value in enumerate(layer)
        if head != int(layer.argmax())
    )
    gone = {(number, head) for _, number, head in ranked[: round(share * sum(map(len, scores)))]}
    return [[head for head in range(len(layer)) if (number, head) not in gone] for number, layer in enumerate(scores)]


def kept_neurons(scores: Scores, share: float) -> list[list[int]]:
    """The neurons of each layer that stay when the least important `share` of each goes: equal widths stay equal."""
    return [sorted(np.argsort(-layer, kind="stable")[: round((1 - share) * len(layer))].tolist()) for layer in scores]


def kept_layers(model: Classifier, material: Material, gone: int) -> list[int]:
    """The layers, numbered from 1, that stay when `gone` of them go: one after another the one whose loss is the smallest."""
    kept = list(range(1, layers_of(model.config) + 1))
    for _ in range(gone):
        shorter = [[layer for layer in kept if layer != without] for without in kept]
        kept = min(shorter, key=lambda layers: material.loss_of(with_layers(model, layers)))
    return kept


def with_layers(model: Classifier, kept: list[int]) -> Classifier:
    """A copy of the model with these layers only, numbered from 1."""
    short = type(model)(shortened(model.encoder, kept), model.settings)
    short.classifier.load_state_dict(model.classifier.state_dict())
    return short.eval()
