"""How far out of scope a text lies, as a torch module of its vector and logits, so that it can be a part of the exported graph.

A detector is a sum of parts. Each part is brought to mean 0 and deviation 1 over validation rows in scope, so that parts can be
added and a score says how many deviations a text lies out.

    max_softmax   1 - the highest probability (Hendrycks and Gimpel 2017)
    energy        - log sum exp of the logits (Liu, Wang, Owens, Li 2020, "Energy-based Out-of-distribution Detection")
    mahalanobis   squared distance to the nearest class mean under one covariance for all classes (Lee, Lee, Lee, Shin 2018)
    outliers      log-odds of a logistic regression that tells known texts out of scope from training rows

It is kept beside the head of a checkpoint: scope.json, and scope.safetensors where a part has weights.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from training.scope.settings import DetectorName

PARTS: dict[DetectorName, tuple[str, ...]] = {
    "max_softmax": ("max_softmax",),
    "energy": ("energy",),
    "mahalanobis": ("mahalanobis",),
    "combined": ("energy", "mahalanobis"),
    "combined_with_outliers": ("energy", "mahalanobis", "outliers"),
}
WEIGHTS, DESCRIPTION = "scope.safetensors", "scope.json"


def _highest(values: Tensor) -> Tensor:
    """[rows, 1]. As the first of an order, since ONNX Runtime cannot tell the shapes of other maxima when it makes float16."""
    return values.topk(1, dim=1).values


class MaxSoftmax(nn.Module):
    """1 - the highest probability."""

    def forward(self, vectors: Tensor, logits: Tensor) -> Tensor:
        """[rows, 1]."""
        return 1.0 - _highest(logits.softmax(dim=1))


class Energy(nn.Module):
    """Minus the logarithm of the summed exponentials."""

    def forward(self, vectors: Tensor, logits: Tensor) -> Tensor:
        """[rows, 1]."""
        highest = _highest(logits)
        return -highest - (logits - highest).exp().sum(dim=1, keepdim=True).log()


class Mahalanobis(nn.Module):
    """Squared distance to the nearest class mean. `whitening` [width, width] makes the shared covariance the unit matrix.

    `means` [width, labels] are whitened; `lengths` [labels] are their squared lengths. `center` [width] is taken off vectors
    first, so that no large numbers cancel.
    """

    center: Tensor
    whitening: Tensor
    means: Tensor
    lengths: Tensor

    def __init__(self, width: int, labels: int) -> None:
        super().__init__()
        self.register_buffer("center", torch.zeros(width))
        self.register_buffer("whitening", torch.eye(width))
        self.register_buffer("means", torch.zeros(width, labels))
        self.register_buffer("lengths", torch.zeros(labels))

    def forward(self, vectors: Tensor, logits: Tensor) -> Tensor:
        """[rows, 1]."""
        whitened = (vectors - self.center) @ self.whitening
        nearest = _highest(2.0 * (whitened @ self.means) - self.lengths)
        return (whitened * whitened).sum(dim=1, keepdim=True) - nearest


class OutlierProbe(nn.Module):
    """Linear, of vectors of length 1: `weight` [width, 1], `bias` [1]."""

    weight: Tensor
    bias: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(width, 1))
        self.register_buffer("bias", torch.zeros(1))

    def forward(self, vectors: Tensor, logits: Tensor) -> Tensor:
        """[rows, 1]."""
        length = (vectors * vectors).sum(dim=1, keepdim=True).sqrt() + 1e-12
        return (vectors @ self.weight) / length + self.bias


class ScopeDetector(nn.Module):
    """Mean of its parts, each standardised: `location` and `spread` [parts]."""

    location: Tensor
    spread: Tensor

    def __init__(self, name: DetectorName, parts: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.name = name
        self.parts = nn.ModuleDict({part: parts[part] for part in PARTS[name]})
        self.register_buffer("location", torch.zeros(len(self.parts)))
        self.register_buffer("spread", torch.ones(len(self.parts)))

    def forward(self, vectors: Tensor, logits: Tensor) -> Tensor:
        """Scores float32 [rows, 1], higher means farther out; of vectors [rows, width] and logits [rows, labels]."""
        raw = self.raw(vectors, logits)
        return ((raw - self.location) / self.spread).mean(dim=1, keepdim=True)

    def raw(self, vectors: Tensor, logits: Tensor) -> Tensor:
        """What the parts say, [rows, parts], before it is standardised."""
        return torch.cat([part(vectors, logits) for part in self.parts.values()], dim=1)

    def save(self, folder: Path) -> None:
        """Writes it into a checkpoint folder."""
        save_file({name: tensor.contiguous() for name, tensor in self.state_dict().items()}, folder / WEIGHTS)
        (folder / DESCRIPTION).write_text(json.dumps({"detector": self.name}) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, width: int, labels: int) -> ScopeDetector | None:
        """That of a checkpoint folder, in evaluation mode; None where it has none."""
        if not (folder / DESCRIPTION).is_file():
            return None
        name: DetectorName = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))["detector"]
        detector = cls(name, empty_parts(width, labels))
        detector.load_state_dict(load_file(folder / WEIGHTS))
        return detector.eval()


def empty_parts(width: int, labels: int) -> dict[str, nn.Module]:
    """Every part there is, not fitted."""
    return {
        "max_softmax": MaxSoftmax(),
        "energy": Energy(),
        "mahalanobis": Mahalanobis(width, labels),
        "outliers": OutlierProbe(width),
    }
