"""The training loop with teachers: what a student's loss is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from training.distillation.imitation import Imitation
from training.distillation.layers import LayerOutputs, hidden_distance
from training.distillation.settings import DistillationSettings
from training.heads import SequenceClassifier
from training.trainer import ClassifierTrainer

BESIDE_TEXT = frozenset({"labels", "answers", "labelled"})


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a student is to imitate, and how much."""

    settings: DistillationSettings
    imitation: Imitation
    teacher: SequenceClassifier | None
    """Whose hidden states count; None where none do."""
    layers: list[int]
    """Of it, numbered from 1: layer 1, 2, ... of the student is compared with the first, second, ... of these."""


class DistillingTrainer(ClassifierTrainer):
    """A `ClassifierTrainer` whose batches carry `answers` and `labelled`, too: see `training.encoding.collator`.

    The loss is that of `DistillationSettings`, a mean over the rows: those without a label lack the task's own part.
    """

    def __init__(self, *, lesson: Lesson, **options: Any) -> None:
        super().__init__(**options)
        self._lesson = lesson
        self._compared: tuple[LayerOutputs, LayerOutputs] | None = None

    def train(self, *arguments: Any, **options: Any) -> Any:
        """As `Trainer.train`; the student's layers are watched meanwhile."""
        if self._lesson.teacher is None:
            return super().train(*arguments, **options)
        teacher = self._lesson.teacher.to(self.args.device).eval().requires_grad_(False)
        numbers = list(range(1, len(self._lesson.layers) + 1))
        self._compared = LayerOutputs(self.model.encoder, numbers), LayerOutputs(teacher.encoder, self._lesson.layers)
        try:
            return super().train(*arguments, **options)
        finally:
            for outputs in self._compared:
                outputs.release()
            self._compared = None

    def _loss_of(self, model: nn.Module, inputs: dict[str, Any]) -> Tensor:
        """What is said above, in float32 also under mixed precision."""
        texts = {name: value for name, value in inputs.items() if name not in BESIDE_TEXT}
        logits = model(**texts).float()
        return self._of_answers(logits, inputs) + self._of_labels(logits, inputs) + self._of_hidden_states(texts)

    def _of_answers(self, logits: Tensor, inputs: dict[str, Tensor]) -> Tensor:
        settings = self._lesson.settings
        return settings.weight * self._lesson.imitation.divergence(logits, inputs["answers"], settings.temperature)

    def _of_labels(self, logits: Tensor, inputs: dict[str, Tensor]) -> Tensor:
        labelled = inputs["labelled"]
        share = (1.0 - self._lesson.settings.weight) * labelled.float().mean()
        if not bool(share):
            return torch.zeros((), device=logits.device)
        loss: Tensor = self._loss.to(logits.device)(logits[labelled], inputs["labels"][labelled])
        return share * loss

    def _of_hidden_states(self, texts: dict[str, Tensor]) -> Tensor:
        if self._compared is None or self._lesson.teacher is None:
            return torch.zeros((), device=texts["input_ids"].device)
        student, taught = self._compared
        with torch.no_grad():
            self._lesson.teacher(**texts)
        distance = hidden_distance(student.latest(), taught.latest(), texts["attention_mask"])
        return self._lesson.settings.weight_of_hidden * distance
