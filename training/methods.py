"""Which weights of the encoder a run trains: all of them, few of them, none, or small ones beside them.

The head is always trained. What a method adds beside the encoder's weights is merged into them before anything is saved, so
that checkpoints, export and serving know nothing of methods.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from training.heads import SequenceClassifier
from training.sentence_encoder import SentenceEncoder
from training.settings import FineTuneSettings


def apply_method(model: SequenceClassifier | SentenceEncoder, settings: FineTuneSettings) -> None:
    """Prepares the encoder, in place."""
    if settings.method == "lora":
        model.encoder = _with_lora(model.encoder, settings)
    elif settings.method != "full":
        for name, parameter in model.encoder.named_parameters():
            parameter.requires_grad = settings.method == "bitfit" and name.endswith("bias")


def merge(model: SequenceClassifier | SentenceEncoder, settings: FineTuneSettings) -> None:
    """Makes the encoder a plain one again, in place; it answers as before."""
    if settings.method == "lora":
        model.encoder = model.encoder.merge_and_unload()
    model.requires_grad_(True)


def trainable(model: nn.Module) -> int:
    """Weights that are trained."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def _with_lora(encoder: nn.Module, settings: FineTuneSettings) -> Any:
    """Low-rank updates beside every linear layer (Hu et al. 2021, "LoRA"), through peft."""
    from peft import LoraConfig, get_peft_model  # takes a second to import

    config = LoraConfig(
        r=settings.lora_rank,
        lora_alpha=2 * settings.lora_rank,
        lora_dropout=settings.dropout,
        target_modules="all-linear",
        # GPT-2 keeps the weights of its linear layers transposed
        fan_in_fan_out=any(type(module).__name__ == "Conv1D" for module in encoder.modules()),
    )
    return get_peft_model(encoder, config)
