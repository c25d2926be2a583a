"""Losses of sentence encoders; those of sentence-transformers where it has them.

Each takes the padded batches of a batch's columns, computes their vectors with `model`, and answers with one number. Cosines
are multiplied by `similarity_scale`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.embedding.relations import Relation
from training.settings import FineTuneSettings

Columns = Sequence[dict[str, Tensor]]


class Features(nn.Module):
    """An encoder as sentence-transformers' losses call it. `encoder` is set by the trainer, which may have wrapped it."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder: nn.Module | None = None

    def forward(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        """Vectors float32 [batch, width] under `sentence_embedding`."""
        assert self.encoder is not None
        return {"sentence_embedding": self.encoder(**features).float()}

    def __getitem__(self, _: int) -> nn.Module | None:
        """Its first module: those losses look whether it is one that they cannot split."""
        return self.encoder


class SupervisedContrastiveLoss(nn.Module):
    """Texts of one label near one another and far from the rest of the batch (Khosla et al. 2020, "Supervised Contrastive
    Learning", the loss with the sum outside the logarithm)."""

    def __init__(self, model: nn.Module, scale: float) -> None:
        super().__init__()
        self.model = model
        self.scale = scale

    def forward(self, columns: Columns, labels: Tensor) -> Tensor:
        """Mean over the texts that have another of their label in the batch; labels int64 [batch]."""
        vectors = functional.normalize(self.model(columns[0])["sentence_embedding"])
        itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        cosines = (self.scale * vectors @ vectors.T).masked_fill(itself, -torch.inf)
        likelihoods = (cosines - cosines.logsumexp(dim=1, keepdim=True)).masked_fill(itself, 0.0)
        alike = (labels[:, None] == labels[None, :]) & ~itself
        having = alike.any(dim=1)
        means = (likelihoods * alike).sum(dim=1)[having] / alike.sum(dim=1)[having]
        return -means.mean()


def loss_of(relation: Relation, settings: FineTuneSettings) -> Any:
    """pair: every other second text of the batch, and every negative, is one that a first text is told from (van den Oord et al.
    2018, InfoNCE). score: the order of the cosines is that of the numbers (Huang et al. 2024, CoSENT). label: as above."""
    # takes seconds to import
    from sentence_transformers.sentence_transformer import losses

    model, scale = Features(), settings.similarity_scale
    if relation == "label":
        return SupervisedContrastiveLoss(model, scale)
    if relation == "score":
        return losses.CoSENTLoss(model, scale=scale)
    if settings.cached_batch is not None:
        return losses.CachedMultipleNegativesRankingLoss(model, scale=scale, mini_batch_size=settings.cached_batch)
    return losses.MultipleNegativesRankingLoss(model, scale=scale)
