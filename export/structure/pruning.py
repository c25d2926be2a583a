"""A smaller network made of a full one, by a structure of the catalogue."""

from __future__ import annotations

import copy

from transformers import AutoConfig

from export.failures import ExportFailure
from export.structure.blocks import blocks_of, names_of
from export.structure.catalogue import Structure
from export.structure.importance import importance, kept_heads, kept_layers, kept_neurons, with_layers
from export.structure.material import Material, require_loss
from training.additions import has_addition
from training.distillation.layers import layers_of, require_stack
from training.failures import InvalidSettings
from training.heads import Classifier
from training.run import RunDirectory, RunRecord


def pruned(full: Classifier, structure: Structure, material: Material) -> Classifier:
    """A copy of `full` without what the structure takes away, in evaluation mode. Nothing is trained.

    Raises ExportFailure for encoders that it cannot be taken away from.
    """
    small = _shortened(full, structure, material) if structure.layers else copy.deepcopy(full).eval()
    small.requires_grad_(False)
    if not (structure.heads or structure.neurons):
        return small
    heads, neurons = importance(small, material)
    blocks = blocks_of(small.encoder)
    if structure.heads:
        for block, stay in zip(blocks, kept_heads(heads, structure.heads), strict=True):
            block.keep_heads(stay)
    if structure.neurons:
        for block, stay in zip(blocks, kept_neurons(neurons, structure.neurons), strict=True):
            block.keep_neurons(stay)
    return small


def _shortened(full: Classifier, structure: Structure, material: Material) -> Classifier:
    layers = layers_of(full.config)
    if structure.layers >= layers:
        raise ExportFailure(
            f"structure {structure.name}: of the encoder's {layers} layers {structure.layers} cannot go"
        )
    try:
        require_stack(full.config)
    except InvalidSettings as error:
        raise ExportFailure(f"structure {structure.name}: {error}") from None
    return with_layers(full, kept_layers(full, material, structure.layers))


def require_prunable(run: RunDirectory, record: RunRecord) -> None:
    """Raises ExportFailure where parts of a run's network cannot be taken away, or not be weighed."""
    require_loss(record.task)
    if has_addition(run.checkpoint):
        raise ExportFailure(
            f"{record.name} has adapters or a prefix beside its encoder, so nothing can be taken away from it: "
            "leave --structures out, or distil a smaller model and give it with --candidate-run"
        )
    names_of(AutoConfig.from_pretrained(run.checkpoint).model_type)
