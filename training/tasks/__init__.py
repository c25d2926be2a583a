"""The tasks that a model can be fine-tuned for, by their names."""

from __future__ import annotations

from typing import Any

from training.dataset import TaskName
from training.tasks.embedding import Embedding
from training.tasks.entities import Entities
from training.tasks.multi_label import MultiLabel
from training.tasks.pair_scoring import PairScoring
from training.tasks.regression import Regression
from training.tasks.single_label import SingleLabel
from training.tasks.task import Judgement, Task, Truth

__all__ = ["Judgement", "Task", "Truth", "task_of"]

TASKS: dict[TaskName, Task[Any]] = {
    "single_label_classification": SingleLabel(),
    "multi_label_classification": MultiLabel(),
    "token_classification": Entities(),
    "regression": Regression(),
    "pair_scoring": PairScoring(),
    "embedding": Embedding(),
}


def task_of(name: TaskName) -> Task[Any]:
    """The task of that name."""
    return TASKS[name]
