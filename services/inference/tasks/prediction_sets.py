"""Sets of labels that hold the right one with a stated probability, by thresholds calibrated where the model was proven.

Split conformal prediction: a label belongs to the set if it is probable enough (Sadinle, Lei, Wasserman 2019), and the best one
always does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.inference.loading import LoadedModel
from services.inference.queries import ClassifyQuery
from services.platform.failures import InvalidInput

FIELD = "coverage"
ROUNDING = 1e-6
"""A level crosses the wire as a float32."""


def check_coverage(query: ClassifyQuery) -> None:
    """Raises InvalidInput for a coverage outside of 0 to 1, or one beside what bounds the labels in another way."""
    if query.coverage is None:
        return
    if not 0.0 < query.coverage < 1.0:
        raise InvalidInput("coverage must be above 0 and below 1", FIELD, "OUT_OF_RANGE")
    for name in ("top_k", "threshold"):
        if getattr(query, name) is not None:
            raise InvalidInput(
                f"coverage decides how many labels there are: leave {name} unset", name, "NOT_WITH_COVERAGE"
            )


def set_threshold(model: LoadedModel, coverage: float) -> float:
    """The probability from which a label belongs to the set, of the lowest level that covers so much.

    Raises InvalidInput where the model has no such level.
    """
    sets, thresholds = model.manifest.prediction_sets, model.variant.set_thresholds
    if sets is None or thresholds is None:
        why = (
            "has no calibrated sets: export its run again"
            if model.manifest.thresholds is None
            else "decides each label by itself and has no sets: leave coverage unset"
        )
        raise InvalidInput(f"model {model.name!r}, version {model.version}, {why}", FIELD, "NO_SETS")
    for level, threshold in zip(sets.levels, thresholds, strict=True):
        if level >= coverage - ROUNDING:
            return threshold
    raise InvalidInput(f"the highest coverage of this model is {sets.levels[-1]:g}", FIELD, "OUT_OF_RANGE")


def prediction_set(probabilities: NDArray[np.float32], threshold: float) -> list[int]:
    """Positions of the labels in the set, best first."""
    ordered = np.argsort(-probabilities, kind="stable")
    count = max(1, int((probabilities >= np.float32(threshold)).sum()))
    found: list[int] = ordered[:count].tolist()
    return found
