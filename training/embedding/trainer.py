"""The training loop of sentence encoders: that of classifiers with a loss over several texts a row."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from training.embedding.losses import Features
from training.trainer import ClassifierTrainer


class EncoderTrainer(ClassifierTrainer):
    """Trains a `training.sentence_encoder.SentenceEncoder` on `training.embedding.rows.EncodedRows`."""

    def _loss_of(self, model: nn.Module, inputs: dict[str, Any]) -> Tensor:
        """That of the texts of the batch."""
        features = self._loss.model
        assert isinstance(features, Features)
        features.encoder = model
        loss: Tensor = self._loss(inputs["columns"], inputs["labels"])
        return loss
