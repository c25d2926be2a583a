"""A classifier with its detector, as one module that is evaluated and exported."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from training.encoding import EncodedDataset
from training.heads import SequenceClassifier
from training.scope.detector import ScopeDetector
from training.scope.fitting import Seen
from training.trainer import predict_logits


class ScopedClassifier(nn.Module):
    """Logits float32 [batch, labels], and scores of the detector [batch, 1], from one pass of the encoder."""

    def __init__(self, model: SequenceClassifier, detector: ScopeDetector) -> None:
        super().__init__()
        self.model = model
        self.config = model.config
        self.scope = detector

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Both, of int64 ids and masks [batch, sequence]."""
        vectors = self.model.vectors(input_ids, attention_mask, token_type_ids)
        logits = self.model.classifier(vectors)
        return logits, self.scope(vectors, logits)

    @classmethod
    def load(cls, folder: Path, model: SequenceClassifier) -> ScopedClassifier | None:
        """The model of a checkpoint folder with the detector beside it; None where there is none."""
        detector = ScopeDetector.load(folder, model.config.hidden_size, len(model.settings.labels))
        return None if detector is None else cls(model, detector).eval()


class _Vectors(nn.Module):
    def __init__(self, model: SequenceClassifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, **inputs: Tensor) -> Tensor:
        return self.model.vectors(**inputs)


def seen(model: SequenceClassifier, rows: EncodedDataset, pad_token_id: int) -> Seen:
    """Vectors and logits of rows, in their order."""
    vectors = predict_logits(_Vectors(model), rows, pad_token_id)
    head = model.classifier
    with torch.inference_mode():
        logits = head(torch.from_numpy(vectors).to(head.weight.device)).float().cpu().numpy()
    return Seen(vectors, logits)
