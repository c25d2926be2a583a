"""What a teacher's answer is in each task, and how far a student is from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from training.calibration import sigmoid, softmax
from training.dataset import TaskName

Logits = NDArray[np.float32]
"""[rows, labels]."""
SMALLEST = 1e-12


class Imitation(Protocol):
    """Probabilities of logits at a temperature, the distance of two answers, and the logits that an average stands for."""

    def answers(self, teachers: Sequence[Logits], temperature: float) -> NDArray[np.float32]:
        """The mean over the teachers of their probabilities at the temperature, [rows, labels]."""

    def together(self, answers: NDArray[np.float32]) -> Logits:
        """Logits whose probabilities are these answers."""

    def divergence(self, logits: Tensor, answers: Tensor, temperature: float) -> Tensor:
        """How far the student's logits are from the answers, one number; 0 when they say the same. Both [rows, labels]."""


class OneLabel:
    """The probabilities of the labels sum to 1 (Hinton et al. 2015, "Distilling the Knowledge in a Neural Network")."""

    def answers(self, teachers: Sequence[Logits], temperature: float) -> NDArray[np.float32]:
        """Softmax."""
        mean: NDArray[np.float32] = np.mean([softmax(each / temperature) for each in teachers], axis=0).astype(
            np.float32
        )
        return mean

    def together(self, answers: NDArray[np.float32]) -> Logits:
        """Logarithms."""
        logits: Logits = np.log(np.maximum(answers, SMALLEST)).astype(np.float32)
        return logits

    def divergence(self, logits: Tensor, answers: Tensor, temperature: float) -> Tensor:
        """T^2 x KL(answers || student), mean over the rows. T^2 keeps the gradient's size whatever the temperature."""
        said = functional.log_softmax(logits / temperature, dim=1)
        return temperature**2 * functional.kl_div(said, answers, reduction="batchmean")


class AnyLabels:
    """Each label is a question of its own: the binary form of the same."""

    def answers(self, teachers: Sequence[Logits], temperature: float) -> NDArray[np.float32]:
        """Sigmoid."""
        mean: NDArray[np.float32] = np.mean([sigmoid(each / temperature) for each in teachers], axis=0).astype(
            np.float32
        )
        return mean

    def together(self, answers: NDArray[np.float32]) -> Logits:
        """Log odds."""
        clipped = np.clip(answers.astype(np.float64), SMALLEST, 1.0 - SMALLEST)
        logits: Logits = np.log(clipped / (1.0 - clipped)).astype(np.float32)
        return logits

    def divergence(self, logits: Tensor, answers: Tensor, temperature: float) -> Tensor:
        """T^2 x KL of yes and no, mean over rows and labels as in binary cross-entropy."""
        applies, not_so = functional.logsigmoid(logits / temperature), functional.logsigmoid(-logits / temperature)
        yes = functional.kl_div(applies, answers, reduction="none")
        no = functional.kl_div(not_so, 1.0 - answers, reduction="none")
        return temperature**2 * (yes + no).mean()


IMITATIONS: dict[TaskName, Imitation] = {
    "single_label_classification": OneLabel(),
    "multi_label_classification": AnyLabels(),
}


def imitation_of(task: TaskName) -> Imitation:
    """Of a task that can be distilled, as settings with teachers say."""
    return IMITATIONS[task]
