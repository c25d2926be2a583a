"""Training rows that a structure is chosen by, with the loss that says what a part is worth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from export.failures import ExportFailure
from export.rows import Row
from training.dataset import Example, TaskName
from training.encoding import UNREAD, EncodedDataset, EncodedExample, collator, sorted_batches
from training.numbers import Scale
from training.tasks import task_of

BATCH = 32

Loss = Callable[[Tensor, Tensor], Tensor]
"""Sum over the rows, of outputs and of the targets of `training.encoding.collator`."""


def _of_words(logits: Tensor, labels: Tensor) -> Tensor:
    return functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=UNREAD, reduction="sum")


LOSSES: dict[TaskName, Loss] = {
    "single_label_classification": lambda logits, labels: functional.cross_entropy(logits, labels, reduction="sum"),
    "multi_label_classification": lambda logits, labels: functional.binary_cross_entropy_with_logits(
        logits, labels, reduction="sum"
    ),
    "token_classification": _of_words,
    "regression": lambda numbers, right: functional.mse_loss(numbers, right, reduction="sum"),
}


@dataclass(frozen=True, slots=True)
class Material:
    """Rows of the training split; those of validation prove a structure, so they must not choose it."""

    rows: EncodedDataset
    loss: Loss
    pad: int

    @classmethod
    def of(
        cls,
        task: TaskName,
        labels: Sequence[str],
        examples: Sequence[Example],
        rows: list[Row],
        pad: int,
        scale: Scale | None = None,
    ) -> Material:
        """Of examples and their tokens; of numbers with the run's scale. Raises ExportFailure as `require_loss` does."""
        require_loss(task)
        known = [example if scale is None else _standardised(example, scale) for example in examples]
        targets = task_of(task).truth(known, list(labels))
        encoded = [
            EncodedExample(row.ids, row.types, target, reads=row.reads)
            for row, target in zip(rows, targets, strict=True)
        ]
        return cls(EncodedDataset(encoded), LOSSES[task], pad)

    def batches(self) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
        """Inputs int64 [batch, sequence], and the targets, always in the same order."""
        collate = collator(self.pad)
        for _, rows in sorted_batches(self.rows, BATCH):
            batch = collate(rows)
            labels = batch.pop("labels")
            yield batch, labels

    def loss_of(self, model: nn.Module) -> float:
        """Mean over the rows."""
        with torch.inference_mode():
            total = sum(float(self.loss(model(**batch), labels)) for batch, labels in self.batches())
        return total / len(self.rows)


def _standardised(example: Example, scale: Scale) -> Example:
    return example if example.value is None else replace(example, target=scale.standardised(example.value))


def require_loss(task: TaskName) -> None:
    """Raises ExportFailure for tasks that have no loss of single rows."""
    if task not in LOSSES:
        raise ExportFailure(
            f"--structures cannot weigh the parts of a network of the task {task}, whose loss is one of several rows together: "
            "leave it out, or give a smaller run with --candidate-run"
        )
