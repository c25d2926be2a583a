"""AdaLoRA (Zhang et al. 2023): low-rank updates whose ranks are taken from where they matter little during training.

All updates begin with half as much rank again as they have in the mean at the end. For a tenth of the training nothing is
taken; then the least important triplets (a singular value with its two vectors) of the whole encoder lose their singular value
until the target is reached; the second half of the training goes on with what is left. The paper's schedules lie around these
shares.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from training.failures import InvalidSettings

FEWEST_UPDATES = 10
ALLOCATIONS = 100
"""About how often ranks are shared out anew: each time all triplets are sorted."""


def initial_rank(target: int) -> int:
    """Of each update, where the mean is to be `target` at the end."""
    return -(-3 * target // 2)


def schedule(updates: int) -> dict[str, int]:
    """Options of peft's AdaLoraConfig for a training of so many updates. Raises InvalidSettings for too few."""
    if updates < FEWEST_UPDATES:
        raise InvalidSettings(
            f"method: {updates} updates in all are too few to tell which ranks matter (adalora needs {FEWEST_UPDATES}): "
            "train more epochs, or use lora"
        )
    return {
        "tinit": updates // 10,
        "tfinal": updates // 2,
        "deltaT": max(1, updates // ALLOCATIONS),
        "total_step": updates,
    }


class Importance(nn.Module):
    """What the allocator has seen so far, as buffers beside the weights: whatever saves and restores these, restores it.

    `sensitivity` and `uncertainty` are float32, one value a weight of the updates; `kept` is bool, one value a triplet.
    """

    sensitivity: Tensor
    uncertainty: Tensor
    kept: Tensor

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self._shapes = {
            name: weight.shape for name, weight in encoder.base_model.model.named_parameters() if ".lora_" in name
        }
        weights = sum(shape.numel() for shape in self._shapes.values())
        self.register_buffer("sensitivity", torch.zeros(weights))
        self.register_buffer("uncertainty", torch.zeros(weights))
        self.register_buffer("kept", torch.ones(sum(self._ranks().values()), dtype=torch.bool))

    def give(self, allocator: Any, config: Any) -> None:
        """Makes peft's allocator go on from here."""
        allocator.ipt = {name: torch.zeros(shape) for name, shape in self._shapes.items()}
        allocator.exp_avg_ipt = self._parts(self.sensitivity)
        allocator.exp_avg_unc = self._parts(self.uncertainty)
        kept = torch.split(self.kept.cpu(), list(self._ranks().values()))
        config.rank_pattern = {name: part.tolist() for name, part in zip(self._ranks(), kept, strict=True)}

    def take(self, allocator: Any, config: Any) -> None:
        """Notes where peft's allocator stands. Once ranks are settled it forgets the rest, which is not needed again."""
        if allocator.exp_avg_ipt:
            self.sensitivity.copy_(torch.cat([allocator.exp_avg_ipt[name].flatten() for name in self._shapes]))
            self.uncertainty.copy_(torch.cat([allocator.exp_avg_unc[name].flatten() for name in self._shapes]))
        self.kept.copy_(torch.tensor([kept for name in self._ranks() for kept in config.rank_pattern[name]]))

    def _parts(self, flat: Tensor) -> dict[str, Tensor]:
        parts = torch.split(flat.clone(), [shape.numel() for shape in self._shapes.values()])
        return {name: part.view(shape) for (name, shape), part in zip(self._shapes.items(), parts, strict=True)}

    def _ranks(self) -> dict[str, int]:
        return {name: shape[0] for name, shape in self._shapes.items() if ".lora_E." in name}


class RankBudget(TrainerCallback):  # type: ignore[misc]  # transformers has no types here
    """Calls peft's allocator after each update, and keeps its state in the model."""

    def __init__(self, encoder: Any) -> None:
        self._encoder = encoder
        self._peft = encoder.base_model
        self._config = encoder.peft_config["default"]
        encoder.add_module("importance", Importance(encoder))

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """From the beginning, or from where the checkpoint stands that was just loaded. Raises InvalidSettings."""
        for option, value in schedule(state.max_steps).items():
            setattr(self._config, option, value)
        self._encoder.importance.give(self._peft.rankallocator, self._config)

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, optimizer: Any = None, **_: Any
    ) -> None:
        """Gradients are still there; `global_step` does not count this update yet."""
        if getattr(optimizer, "step_was_skipped", False):
            # float16 gradients overflowed: they say nothing of importance, and are not finite
            for parameter in self._encoder.parameters():
                if parameter.grad is not None:
                    parameter.grad.zero_()
        self._peft.update_and_allocate(state.global_step + 1)
        self._encoder.importance.take(self._peft.rankallocator, self._config)

    def ranks(self) -> dict[str, int]:
        """Triplets that each update still has, by the name of its singular values."""
        return {name: sum(kept) for name, kept in self._config.rank_pattern.items()}

    def penalty(self) -> Tensor:
        """How far the singular vectors are from orthogonal, weighed: what the paper adds to the loss. peft does so only for
        models that compute their own loss."""
        distances = []
        for name, weight in self._encoder.named_parameters():
            if ".lora_A." in name or ".lora_B." in name:
                product = weight @ weight.T if ".lora_A." in name else weight.T @ weight
                distances.append(torch.linalg.matrix_norm(product - torch.eye(len(product), device=product.device)))
        return float(self._config.orth_reg_weight) * torch.stack(distances).mean()
