"""Outlier exposure (Hendrycks, Mazeika, Dietterich 2019): of known texts out of scope all labels are to be equally probable."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from training.encoding import EncodedDataset
from training.scope.settings import ScopeSettings

OUTSIDE = -1
"""What stands for the label of a text out of scope."""


class ExposureLoss(nn.Module):
    """The loss of the rows in scope, and beside it the cross-entropy between those out of scope and the uniform distribution.

    `weight` is that of a row out of scope, of which a batch may have none; a row in scope has the weight 1.
    """

    def __init__(self, inside: nn.Module, weight: float) -> None:
        super().__init__()
        self.inside = inside
        self.weight = weight

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Mean over the rows, of logits [rows, labels] and indices int64 [rows], `OUTSIDE` for texts out of scope."""
        out = labels == OUTSIDE
        total = -self.weight * functional.log_softmax(logits[out], dim=1).mean(dim=1).sum()
        count = len(labels) - int(out.sum())
        if count:
            total = total + count * self.inside(logits[~out], labels[~out])
        return total / len(labels)


def exposed(
    loss: nn.Module, inside: EncodedDataset, outside: EncodedDataset, settings: ScopeSettings
) -> tuple[EncodedDataset, ExposureLoss]:
    """The training rows with texts out of scope behind them, and the loss of both.

    Each text out of scope comes as often as their share of an epoch wants; so often that all together weigh what the settings
    say.
    """
    times = max(1, round(settings.exposure_share * len(inside) / len(outside)))
    count = len(outside) * times
    weight = settings.exposure_weight * len(inside) / count
    return EncodedDataset([*inside.rows, *outside.rows * times]), ExposureLoss(loss, weight)
