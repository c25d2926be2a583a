from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from services.inference.probabilities import sigmoid, softmax


@given(arrays(np.float32, (3, 4), elements=st.floats(-1e4, 1e4, width=32)), st.sampled_from([0.5, 1.0, 3.0]))
def test_probabilities_sum_to_one_keep_the_order_and_never_overflow(logits: np.ndarray, temperature: float) -> None:
    before = logits.copy()
    probabilities = softmax(logits, temperature)
    assert probabilities.dtype == np.float32
    assert np.allclose(probabilities.sum(axis=1), 1.0, atol=1e-5)
    assert all(probabilities[row, logits[row].argmax()] == probabilities[row].max() for row in range(3))
    assert (logits == before).all()


@given(st.floats(-1e30, 1e30))
def test_a_sigmoid_is_a_float32_in_the_unit_interval(logit: float) -> None:
    value = sigmoid(logit)
    assert 0.0 <= value <= 1.0
    assert value == float(np.float32(value))


@pytest.mark.parametrize("logit", [-30.0, -5.0, 0.0, 0.1, 5.0])
def test_a_sigmoid_is_exact_also_near_zero(logit: float) -> None:
    assert sigmoid(logit) == pytest.approx(1.0 / (1.0 + math.exp(-logit)), rel=1e-6)
