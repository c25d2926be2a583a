"""The model of a complete run, as it answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from training.dataset import Example
from training.encoding import EncodedDataset, encode
from training.heads import SequenceClassifier
from training.model_making import load_tokenizer, padding_of
from training.run import RunDirectory, RunRecord
from training.trainer import predict_logits


class FinishedModel:
    """Reads the checkpoint; on a GPU where there is one."""

    def __init__(self, run: RunDirectory, record: RunRecord) -> None:
        self.tokenizer = load_tokenizer(str(run.checkpoint))
        self.max_length = record.max_length
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.classifier = SequenceClassifier.load(run.checkpoint).to(self.device)
        self.pad = padding_of(self.tokenizer)

    def encoded(self, examples: Sequence[Example]) -> EncodedDataset:
        """Token ids as in training."""
        return encode(examples, self.tokenizer, [0] * len(examples), self.max_length)

    def logits(self, rows: EncodedDataset) -> NDArray[np.float32]:
        """[rows, labels]."""
        return predict_logits(self.classifier, rows, self.pad)
