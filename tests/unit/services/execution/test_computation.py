"""Logits of a batch become probabilities at the temperature of the variant that gave them."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

from services.inference.execution.computation import Computation
from services.inference.execution.layout import Layout
from services.inference.execution.session import Session
from services.inference.prediction import Encoded
from tests.fakes.tiny_bundle import publish_tiny

LOGITS = np.array([[2.0, 0.0, -1.0]], np.float32)


class FakeSession:
    def run(self, rows: list[Encoded]) -> NDArray[np.float32]:
        return LOGITS


@pytest.mark.parametrize(("own", "used"), [(None, 1.0), (2.5, 2.5)])
def test_a_variant_with_a_temperature_of_its_own_is_calibrated_by_it(
    tmp_path: Path, own: float | None, used: float
) -> None:
    manifest = publish_tiny(tmp_path).manifest
    variant = manifest.variants[0].model_copy(update={"temperature": own})
    computation = Computation(Layout((cast("Session", FakeSession()),), None, 1), manifest, variant)
    ((outputs, probabilities),) = computation([Encoded(np.array([2, 5, 3]))], False)
    exponents = np.exp(LOGITS[0] / used)
    assert probabilities == pytest.approx(exponents / exponents.sum(), abs=1e-6)
    assert (outputs == LOGITS[0]).all()
