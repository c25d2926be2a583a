"""Losses of a cross-encoder. Targets are float32 [rows, 2]: relevance in [0, 1], and the number of the row's query.

Those that rank compare the candidates of a query with one another, as far as they are in the batch: see
`training.query_batches`. Each query counts alike, whatever the number of its candidates; one whose candidates are all as
relevant teaches nothing of order and does not count.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class PointwiseLoss(nn.Module):
    """Binary cross-entropy of each row by itself; a graded relevance is a probability."""

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Mean over the rows; logits [rows, 1]."""
        return functional.binary_cross_entropy_with_logits(logits[:, 0], targets[:, 0])


class RankNetLoss(nn.Module):
    """The logistic loss of each pair of a query's candidates of which one is more relevant (Burges et al. 2005, "RankNet")."""

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Mean over the queries of the mean over their pairs; logits [rows, 1]."""
        scores, relevance = logits[:, 0], targets[:, 0]
        same = _same_query(targets)
        pairs = (same & (relevance.unsqueeze(1) > relevance.unsqueeze(0))).to(scores.dtype)
        of_query = same.to(scores.dtype) @ pairs.sum(dim=1)
        weights = pairs / of_query.clamp(min=1.0).unsqueeze(1)
        losses = functional.softplus(scores.unsqueeze(0) - scores.unsqueeze(1))
        # the weights of a query's pairs sum to 1
        return (weights * losses).sum() / weights.sum().clamp(min=1.0)


class ListwiseSoftmaxLoss(nn.Module):
    """Cross-entropy between the softmax of a query's scores and its relevance as shares of their sum.

    ListNet's top-one loss (Cao et al. 2007) with the relevance normalised instead of its exponential (Bruch et al. 2019), which
    keeps irrelevant candidates at 0.
    """

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Mean over the queries; logits [rows, 1]."""
        scores, relevance = logits[:, 0], targets[:, 0]
        same = _same_query(targets)
        mask = same.to(scores.dtype)
        log_shares = scores - scores.unsqueeze(0).masked_fill(~same, float("-inf")).logsumexp(dim=1)
        wide = relevance.unsqueeze(0).expand_as(mask)
        differs = wide.masked_fill(~same, -1.0).amax(dim=1) > wide.masked_fill(~same, 2.0).amin(dim=1)
        weights = relevance / (mask @ relevance).clamp(min=1e-9) * differs
        # the weights of a query's candidates sum to 1
        return -(weights * log_shares).sum() / weights.sum().clamp(min=1.0)


def _same_query(targets: Tensor) -> Tensor:
    """bool [rows, rows]."""
    return targets[:, 1].unsqueeze(1) == targets[:, 1].unsqueeze(0)
