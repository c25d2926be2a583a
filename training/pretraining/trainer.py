"""transformers' Trainer for masked words: the loss of the masked positions, a rate by the budget, the progress shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import Sampler, SequentialSampler
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from training.masked_positions import MaskedOnly
from training.pretraining.batches import Inputs
from training.pretraining.budget import Budget
from training.pretraining.held_out import LOSS
from training.pretraining.settings import PretrainingSettings
from training.trainer import loop_arguments

ENDLESS = 10_000_000
"""Updates that a run by the clock never reaches."""


def pretraining_arguments(
    settings: PretrainingSettings, folder: Path, steps: int | None, rate: float, precision: str
) -> TrainingArguments:
    """Our settings in Trainer's words: an item of the data set is a whole batch; AdamW as RoBERTa has it (Liu et al. 2019)."""
    return loop_arguments(
        folder,
        settings.seed,
        precision,
        max_steps=ENDLESS if steps is None else steps,
        learning_rate=rate,
        per_device_train_batch_size=1,
        gradient_accumulation_steps=settings.gradient_accumulation,
        optim="adamw_torch_fused",
        adam_beta2=0.98,
        adam_epsilon=1e-6,
        weight_decay=0.01,
    )


class MaskedTrainer(Trainer):  # type: ignore[misc]  # transformers has no types here
    """Trains a masked language model on `training.pretraining.batches.Batches`, of which a `Subset` says how many there are."""

    def __init__(self, *, only: MaskedOnly, budget: Budget, **options: Any) -> None:
        super().__init__(data_collator=lambda items: items[0], **options)
        self.model_accepts_loss_kwargs = True  # the loss below divides by the masked tokens of all batches of an update
        self._only = only
        self._budget = budget

    def compute_loss(
        self, model: nn.Module, inputs: Inputs, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Cross-entropy of the masked tokens in float32: their sum over the count of all that the update sees."""
        logits = self._only.logits(model, inputs)
        count = len(inputs["labels"]) if num_items_in_batch is None else num_items_in_batch
        loss: Tensor = functional.cross_entropy(logits, inputs["labels"], reduction="sum") / count
        return (loss, {"logits": logits}) if return_outputs else loss

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        return SequentialSampler(train_dataset or self.train_dataset)

    def create_scheduler(
        self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None
    ) -> torch.optim.lr_scheduler.LRScheduler:
        """The budget's rate; its state is part of the checkpoint."""
        self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer or self.create_optimizer(), self._budget)
        return self.lr_scheduler


class BudgetClock(TrainerCallback):  # type: ignore[misc]  # as above
    """Starts the budget's clock, ends the training when it is spent, and shows how far it is."""

    def __init__(self, budget: Budget, show: Callable[[str, int, int, str], None]) -> None:
        self._budget = budget
        self._show = show
        self._losses: dict[str, str] = {}

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """After a checkpoint was loaded, if there is one."""
        self._budget.resume()
        self._tell(state)

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: Any = None, **_: Any
    ) -> None:
        """Remembers the latest losses."""
        for name, title in (("loss", "loss"), (LOSS, "held out")):
            if logs and name in logs:
                self._losses[title] = f"{title} {logs[name]:.3f}"

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Moves the bar, in seconds where the budget is one of time."""
        if self._budget.done(state.global_step) >= 1:
            control.should_training_stop = True
        self._tell(state)

    def _tell(self, state: TrainerState) -> None:
        note = "  ".join(self._losses.values())
        if self._budget.seconds is None:
            self._show("pretraining", state.global_step, state.max_steps, note)
        else:
            done = int(self._budget.done(state.global_step) * self._budget.seconds)
            self._show("pretraining (s)", done, int(self._budget.seconds), f"update {state.global_step:,}  {note}")
