"""Which labels a set holds, and of which level its threshold is."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from export.manifest import Manifest
from services.inference.loading import LoadedModel
from services.inference.prediction import Served
from services.inference.statistics import ModelStatistics
from services.inference.tasks.prediction_sets import prediction_set, set_threshold
from services.platform.failures import InvalidInput
from tests.fakes.tiny_bundle import publish_tiny

PROBABILITIES = np.array([0.2, 0.5, 0.3], np.float32)


def model(folder: Path, levels: list[float], thresholds: list[float]) -> LoadedModel:
    """One whose sets are calibrated so; nothing is computed with it."""
    values = publish_tiny(folder).manifest.model_dump()
    if levels:
        values["variants"][0]["set_thresholds"] = thresholds
        values["prediction_sets"] = {"levels": levels, "rows": 100}
    manifest = Manifest.model_validate(values)
    nothing = cast(Any, None)
    served = Served(manifest.name, manifest.version, manifest.variants[0].name)
    return LoadedModel(manifest, manifest.variants[0], nothing, nothing, ModelStatistics(), served, None, nothing)


@pytest.mark.parametrize(
    ("threshold", "positions"), [(0.9, [1]), (0.5, [1]), (0.4, [1]), (0.3, [1, 2]), (0.25, [1, 2]), (0.0, [1, 2, 0])]
)
def test_a_set_holds_what_is_probable_enough_and_always_the_best(threshold: float, positions: list[int]) -> None:
    assert prediction_set(PROBABILITIES, threshold) == positions


@pytest.mark.parametrize(
    ("coverage", "threshold"), [(0.1, 0.4), (0.8, 0.4), (float(np.float32(0.8)), 0.4), (0.81, 0.1), (0.9, 0.1)]
)
def test_the_threshold_is_that_of_the_lowest_level_that_covers_so_much(
    tmp_path: Path, coverage: float, threshold: float
) -> None:
    assert set_threshold(model(tmp_path, [0.8, 0.9], [0.4, 0.1]), coverage) == threshold


def test_a_level_that_was_not_calibrated_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"the highest coverage of this model is 0\.9"):
        set_threshold(model(tmp_path, [0.8, 0.9], [0.4, 0.1]), 0.95)
    with pytest.raises(InvalidInput, match="has no calibrated sets"):
        set_threshold(model(tmp_path, [], []), 0.9)
