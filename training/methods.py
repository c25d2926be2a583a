"""Which weights of the encoder a run trains: all of them, few of them, none, or small ones beside them.

The head is always trained. What a method adds beside the encoder's weights is merged into them before anything is saved, or,
where that cannot be, saved beside them (`training.additions`): export and serving know nothing of methods.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from training.additions import Adapters, Addition, PrefixKeys, add, added_weights
from training.failures import InvalidSettings
from training.heads import Classifier
from training.rank_budget import FEWEST_UPDATES, RankBudget, initial_rank, schedule
from training.sentence_encoder import SentenceEncoder
from training.settings import FineTuneSettings

MERGED = frozenset({"lora", "adalora"})
"""Low-rank updates, through peft."""


def apply_method(model: Classifier | SentenceEncoder, settings: FineTuneSettings) -> RankBudget | None:
    """Prepares the encoder, in place.

    Returns what shares out ranks during the training, for the method that does. Raises InvalidSettings for encoders that the
    method does not fit.
    """
    if settings.method == "lora":
        model.encoder = _with_lora(model.encoder, settings)
    elif settings.method == "adalora":
        model.encoder = _with_adalora(model.encoder, settings)
        return RankBudget(model.encoder)
    elif settings.method in {"prefix", "adapters"}:
        model.encoder.requires_grad_(False)
        add(model.encoder, addition(settings, model.config.hidden_size))
        for weight in added_weights(model.encoder).values():
            weight.requires_grad = True
    elif settings.method != "full":
        for name, parameter in model.encoder.named_parameters():
            parameter.requires_grad = settings.method == "bitfit" and name.endswith("bias")
    return None


def addition(settings: FineTuneSettings, width: int) -> Addition:
    """What `prefix` and `adapters` add to an encoder of that width."""
    if settings.method == "prefix":
        return PrefixKeys(length=settings.prefix_length)
    inner = width // settings.adapter_reduction_factor
    if inner < 1:
        raise InvalidSettings(
            f"adapter_reduction_factor: {settings.adapter_reduction_factor} leaves nothing of the encoder's width {width}"
        )
    return Adapters(inner=inner)


def merge(model: Classifier | SentenceEncoder, settings: FineTuneSettings) -> None:
    """Makes the encoder a plain one again where that can be, in place; it answers as before."""
    if settings.method in MERGED:
        model.encoder = model.encoder.merge_and_unload()
    model.requires_grad_(True)


def trainable(model: nn.Module) -> int:
    """Weights that are trained."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def _with_lora(encoder: nn.Module, settings: FineTuneSettings) -> Any:
    """Low-rank updates beside every linear layer (Hu et al. 2021, "LoRA"), through peft."""
    from peft import LoraConfig, get_peft_model  # takes a second to import

    rank = settings.lora_rank
    return get_peft_model(encoder, LoraConfig(r=rank, lora_alpha=2 * rank, **_beside_linear_layers(encoder, settings)))


def _with_adalora(encoder: nn.Module, settings: FineTuneSettings) -> Any:
    """The same with singular values, so that ranks can be shared out; see `training.rank_budget`."""
    from peft import AdaLoraConfig, get_peft_model

    target = settings.adalora_target_rank
    rank = initial_rank(target)
    # how many updates there will be is known when the training begins
    options: dict[str, Any] = {"target_r": target, "init_r": rank, "lora_alpha": 2 * rank, **schedule(FEWEST_UPDATES)}
    return get_peft_model(encoder, AdaLoraConfig(**options, **_beside_linear_layers(encoder, settings)))


def _beside_linear_layers(encoder: nn.Module, settings: FineTuneSettings) -> dict[str, Any]:
    return {
        "lora_dropout": settings.dropout,
        "target_modules": "all-linear",
        # never run, so without gradients
        "exclude_modules": [name for name, _ in encoder.named_modules() if name.startswith("pooler.")] or None,
        # GPT-2 keeps the weights of its linear layers transposed
        "fan_in_fan_out": any(type(module).__name__ == "Conv1D" for module in encoder.modules()),
    }
