"""How well a model guesses words of texts that it does not learn from."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from training.masked_positions import MaskedOnly
from training.pretraining.batches import Batches
from training.pretraining.budget import Budget
from training.pretraining.record import Quality

LOSS, DONE = "held_out_loss", "done"
TIMES = 10
"""Measurements on the way, evenly over the run."""


class HeldOut:
    """Fixed batches with fixed words masked: every measurement asks the same."""

    def __init__(self, batches: Batches, only: MaskedOnly) -> None:
        self._batches = [batches[number] for number in range(batches.in_first_pass)]
        self._only = only

    def measure(self, model: nn.Module) -> Quality:
        """On the model's device; the loss is of float32 logits. The model is left in the mode it was in."""
        device = next(model.parameters()).device
        training = model.training
        model.eval()
        loss, right, count = 0.0, 0, 0
        with torch.inference_mode():
            for batch in self._batches:
                inputs = {name: value.to(device) for name, value in batch.items()}
                logits, labels = self._only.logits(model, inputs), inputs["labels"]
                loss += float(functional.cross_entropy(logits, labels, reduction="sum"))
                right += int((logits.argmax(dim=1) == labels).sum())
                count += len(labels)
        model.train(training)
        return Quality(loss=loss / count, perplexity=math.exp(min(loss / count, 700.0)), accuracy=right / count)


class HeldOutClock(TrainerCallback):  # type: ignore[misc]  # transformers has no types here
    """Measures on the way. What it finds goes into the trainer's log, which checkpoints and TensorBoard keep."""

    def __init__(self, held_out: HeldOut, budget: Budget, log: Callable[[dict[str, float]], None]) -> None:
        self._held_out = held_out
        self._budget = budget
        self._log = log

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: nn.Module, **_: object
    ) -> None:
        """Due whenever another tenth of the run is done; the end is measured by the step."""
        done = self._budget.done(state.global_step)
        measured = max((entry[DONE] for entry in state.log_history if DONE in entry), default=0.0)
        if int(TIMES * measured) < int(TIMES * done) < TIMES:
            self._log({LOSS: self._held_out.measure(model).loss, DONE: done})


def curve(state: TrainerState) -> dict[int, float]:
    """Updates -> held-out loss, from the log."""
    return {entry["step"]: entry[LOSS] for entry in state.log_history if LOSS in entry}
