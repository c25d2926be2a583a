"""Fits detectors on what a trained model makes of its rows, and chooses the one that finds most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf
from sklearn.linear_model import LogisticRegression
from torch import nn

from training.scope.detector import PARTS, Mahalanobis, OutlierProbe, ScopeDetector, empty_parts
from training.scope.evidence import auroc, recall, threshold_at
from training.scope.settings import DetectorName, ScopeSettings

Array = NDArray[np.float32]
MOST_PROBE_ROWS = 5_000
"""Training rows that the outlier probe is fitted on; a few hundred texts out of scope need no more to be told from."""
BY_DEFAULT: DetectorName = "combined"
MAHALANOBIS, OUTLIERS = "mahalanobis", "outliers"
"""The parts that learn from training rows; the second one from texts out of scope, too."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a model makes of rows: pooled vectors float32 [rows, width] and logits float32 [rows, labels]."""

    vectors: Array
    logits: Array

    def __len__(self) -> int:
        return len(self.vectors)


@dataclass(frozen=True, slots=True)
class Material:
    """What a detector is fitted on and chosen by. The two of texts out of scope are None where none are known, or needed."""

    train: Seen | None
    """None where no part of any detector that is possible learns from them."""
    truth: NDArray[np.int64]
    """Indices of the labels of the training rows."""
    validation: Seen
    outside_train: Seen | None
    outside_validation: Seen | None


def possible(settings: ScopeSettings, known: bool, learned: bool) -> dict[DetectorName, tuple[str, ...]]:
    """Detectors that are fitted, and their parts: the one that the settings name, or all to choose from.

    `known`: whether there are texts out of scope to choose by; `learned`: whether there are some to learn from.
    """
    if settings.detector != "auto":
        return {settings.detector: PARTS[settings.detector]}
    if not known:
        return {BY_DEFAULT: PARTS[BY_DEFAULT]}
    return {name: parts for name, parts in PARTS.items() if learned or OUTLIERS not in parts}


def fitted(material: Material, settings: ScopeSettings) -> ScopeDetector:
    """The detector that the settings name, or of all that can be fitted the best; in evaluation mode.

    Best is: highest recall on the validation split's texts out of scope at the operating point, then highest area under the ROC
    curve; without such texts `BY_DEFAULT`.
    """
    outside = material.outside_validation
    names = possible(settings, outside is not None, material.outside_train is not None)
    parts = _parts(material, {part for needed in names.values() for part in needed})
    detectors = [_standardised(name, parts, material.validation) for name in names]
    if len(detectors) == 1 or outside is None:
        return detectors[0]

    def merit(detector: ScopeDetector) -> tuple[float, float]:
        inside, out = scores(detector, material.validation), scores(detector, outside)
        return recall(out, threshold_at(inside, settings.acceptance)), auroc(inside, out)

    return max(detectors, key=merit)


def scores(detector: ScopeDetector, seen: Seen) -> Array:
    """Scores float32 [rows]."""
    with torch.inference_mode():
        found: Array = detector(torch.from_numpy(seen.vectors), torch.from_numpy(seen.logits)).squeeze(1).numpy()
    return found


def _parts(material: Material, needed: set[str]) -> dict[str, nn.Module]:
    width, labels = material.validation.vectors.shape[1], material.validation.logits.shape[1]
    parts = empty_parts(width, labels)
    if MAHALANOBIS in needed:
        assert material.train is not None
        _fit_mahalanobis(parts[MAHALANOBIS], material.train.vectors, material.truth, labels)
    if OUTLIERS in needed:
        assert material.train is not None and material.outside_train is not None
        _fit_probe(parts[OUTLIERS], material.train.vectors, material.outside_train.vectors)
    return parts


def _fit_mahalanobis(part: nn.Module, vectors: Array, truth: NDArray[np.int64], labels: int) -> None:
    """Covariance shrunk towards a multiple of the unit matrix (Ledoit and Wolf 2004), so that it can always be inverted."""
    assert isinstance(part, Mahalanobis)
    exact = vectors.astype(np.float64)
    center = exact.mean(axis=0)
    means = np.stack([exact[truth == label].mean(axis=0) for label in range(labels)])
    covariance, _ = ledoit_wolf(exact - means[truth], assume_centered=True)
    whitening = np.linalg.cholesky(np.linalg.inv(covariance + 1e-12 * np.eye(len(covariance))))
    whitened = (means - center) @ whitening
    part.load_state_dict(
        {
            "center": _tensor(center),
            "whitening": _tensor(whitening),
            "means": _tensor(whitened.T),
            "lengths": _tensor((whitened * whitened).sum(axis=1)),
        }
    )


def _fit_probe(part: nn.Module, inside: Array, outside: Array) -> None:
    assert isinstance(part, OutlierProbe)
    step = -(-len(inside) // MOST_PROBE_ROWS)
    vectors = np.concatenate([inside[::step], outside]).astype(np.float64)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    out = np.arange(len(vectors)) >= len(vectors) - len(outside)
    probe = LogisticRegression(class_weight="balanced", max_iter=1_000).fit(vectors, out)
    part.load_state_dict({"weight": _tensor(probe.coef_.T), "bias": _tensor(probe.intercept_)})


def _standardised(name: DetectorName, parts: dict[str, nn.Module], validation: Seen) -> ScopeDetector:
    detector = ScopeDetector(name, parts).eval()
    vectors, logits = torch.from_numpy(validation.vectors), torch.from_numpy(validation.logits)
    with torch.inference_mode():
        raw = detector.raw(vectors, logits).double()
    # in float64, and never 0: rows that are all alike have no spread
    spread = raw.std(dim=0, correction=0).clamp(min=1e-6)
    detector.load_state_dict({**detector.state_dict(), "location": raw.mean(dim=0).float(), "spread": spread.float()})
    return detector


def _tensor(values: NDArray[np.float64]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))
