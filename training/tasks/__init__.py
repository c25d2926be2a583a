"""The tasks that a classifier can be fine-tuned for, by their names; sentence encoders have `training.tasks.embedding`."""

from __future__ import annotations

from typing import Any

from training.dataset import TaskName
from training.tasks.entities import Entities
from training.tasks.multi_label import MultiLabel
from training.tasks.pair_scoring import PairScoring
from training.tasks.regression import Regression
from training.tasks.single_label import SingleLabel
from training.tasks.task import Judgement, Measured, Objective, Task, Truth

__all__ = ["Judgement", "Measured", "Objective", "Task", "Truth", "task_of"]

TASKS: dict[TaskName, Task[Any]] = {
    "single_label_classification": SingleLabel(),
    "multi_label_classification": MultiLabel(),
    "token_classification": Entities(),
    "regression": Regression(),
    "pair_scoring": PairScoring(),
}


def task_of(name: TaskName) -> Task[Any]:
    """The task of that name."""
    return TASKS[name]
