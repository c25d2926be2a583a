"""Out-of-sample probabilities by a logistic regression on vectors that no training changed: seconds, not an hour."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.audit.folds import Folds
from training.audit.settings import AuditSettings
from training.audit.vectors import row_vectors
from training.duplicates import Progress

STRENGTH = 3.0
"""Inverse of the regularisation. 3, 10 and 30 were measured with wrong labels planted: the larger, the closer a model follows
the labels that it is to doubt, and the fewer of them it finds."""
ITERATIONS = 1_000


def probabilities_by_vectors(folds: Folds, settings: AuditSettings, progress: Progress) -> NDArray[np.float64]:
    """float64 [rows, labels]; each row by the model of the folds that it is not in, each summing to 1."""
    from sklearn.linear_model import LogisticRegression

    vectors = row_vectors(folds.examples, settings, progress)
    probabilities = np.zeros((len(folds.examples), len(folds.labels)))
    for fold in range(settings.folds):
        progress("judging the folds", fold, settings.folds)
        held_out = folds.fold == fold
        if held_out.any():
            model = LogisticRegression(C=STRENGTH, max_iter=ITERATIONS, tol=1e-3)
            model.fit(vectors[~held_out], folds.truth[~held_out])
            # every label stands in two folds at least, so every model knows all of them
            probabilities[held_out] = model.predict_proba(vectors[held_out])
    progress("judging the folds", settings.folds, settings.folds)
    return probabilities
