"""Losses for rows of unequal importance."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.encoding import UNREAD


class FocalLoss(nn.Module):
    """Cross-entropy in which rows that are already right count less: (1 - p)^gamma (Lin et al. 2017, "Focal Loss").

    `p` is the probability of the right label; gamma 0 is cross-entropy. With `weights`, float32 [labels], each row counts as
    much as its label.
    """

    weights: Tensor | None

    def __init__(self, gamma: float, weights: Tensor | None = None) -> None:
        super().__init__()
        self.gamma = gamma
        self.register_buffer("weights", weights)

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Mean over the rows, of logits [rows, labels] and indices int64 [rows]."""
        log_right = functional.log_softmax(logits, dim=1).gather(1, labels.unsqueeze(1)).squeeze(1)
        losses = -((1.0 - log_right.exp()) ** self.gamma) * log_right
        if self.weights is None:
            return losses.mean()
        row_weights = self.weights[labels]
        return (row_weights * losses).sum() / row_weights.sum()


class TokenLoss(nn.Module):
    """A loss of rows, over the tokens that speak for words."""

    def __init__(self, of_rows: nn.Module) -> None:
        super().__init__()
        self.of_rows = of_rows

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Of logits [batch, sequence, labels] and indices int64 [batch, sequence], UNREAD where nothing is to be learned."""
        read = labels != UNREAD
        loss: Tensor = self.of_rows(logits[read], labels[read])
        return loss


class BinaryFocalLoss(nn.Module):
    """The same where each label is a question of its own; `weights` are those of the rows that have the label."""

    weights: Tensor | None

    def __init__(self, gamma: float, weights: Tensor | None = None) -> None:
        super().__init__()
        self.gamma = gamma
        self.register_buffer("weights", weights)

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Mean over rows and labels; both [rows, labels], targets of 0 and 1."""
        losses = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none", pos_weight=self.weights)
        wrong = torch.sigmoid(torch.where(targets > 0, -logits, logits))
        return (wrong**self.gamma * losses).mean()
