"""The training loop of sentence encoders: that of classifiers with a loss over several texts a row."""

from __future__ import annotations

from typing import Any

from torch import nn

from training.embedding.losses import Features
from training.trainer import ClassifierTrainer


class EncoderTrainer(ClassifierTrainer):
    """Trains a `training.sentence_encoder.SentenceEncoder` on `training.embedding.rows.EncodedRows`."""

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The loss of the batch."""
        features = self._loss.model
        assert isinstance(features, Features)
        features.encoder = model
        loss = self._loss(inputs["columns"], inputs["labels"])
        return (loss, {}) if return_outputs else loss
