"""Distances of answers, by hand and against torch's own losses."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from training.calibration import sigmoid, softmax
from training.distillation.imitation import AnyLabels, Imitation, OneLabel

TEACHER = np.array([[2.0, 0.0, -1.0], [0.3, 0.1, 0.0]], np.float32)
OTHER = np.array([[0.0, 1.0, 0.0], [5.0, -5.0, 0.0]], np.float32)
STUDENT = torch.tensor([[1.0, 0.5, -2.0], [-1.0, 2.0, 0.4]])
BOTH = [OneLabel(), AnyLabels()]


@pytest.mark.parametrize("imitation", BOTH)
@pytest.mark.parametrize("temperature", [1.0, 2.0, 7.5])
def test_who_answers_like_the_teacher_has_no_distance_and_nothing_to_learn(
    imitation: Imitation, temperature: float
) -> None:
    logits = torch.from_numpy(TEACHER.copy()).requires_grad_()
    answers = torch.from_numpy(imitation.answers([TEACHER], temperature))
    distance = imitation.divergence(logits, answers, temperature)
    distance.backward()  # type: ignore[no-untyped-call]
    assert distance.item() == pytest.approx(0.0, abs=1e-5)
    assert logits.grad is not None
    assert logits.grad.abs().max() < 1e-6
    assert imitation.divergence(STUDENT, answers, temperature) > 0.01


def test_with_one_label_the_distance_is_the_divergence_of_the_softened_answers() -> None:
    temperature = 2.0
    by_hand = 0.0
    for teacher, student in zip(TEACHER.tolist(), STUDENT.tolist(), strict=True):
        p = [math.exp(z / temperature) for z in teacher]
        q = [math.exp(z / temperature) for z in student]
        by_hand += sum(a / sum(p) * math.log((a / sum(p)) / (b / sum(q))) for a, b in zip(p, q, strict=True))
    answers = torch.from_numpy(OneLabel().answers([TEACHER], temperature))
    found = OneLabel().divergence(STUDENT, answers, temperature).item()
    assert found == pytest.approx(temperature**2 * by_hand / len(TEACHER), rel=1e-5)


def test_with_any_labels_it_is_binary_cross_entropy_less_what_the_teacher_leaves_open() -> None:
    temperature = 3.0
    answers = torch.from_numpy(AnyLabels().answers([TEACHER], temperature))
    crossed = functional.binary_cross_entropy_with_logits(STUDENT / temperature, answers)
    open_ = functional.binary_cross_entropy(answers, answers)
    found = AnyLabels().divergence(STUDENT, answers, temperature).item()
    assert found == pytest.approx(temperature**2 * (crossed - open_).item(), rel=1e-4)


@pytest.mark.parametrize("imitation", BOTH)
def test_a_sure_teacher_gives_a_finite_distance(imitation: Imitation) -> None:
    answers = torch.from_numpy(imitation.answers([TEACHER * 1_000], 1.0))
    assert torch.isfinite(imitation.divergence(STUDENT * 100, answers, 1.0))


@pytest.mark.parametrize("imitation", BOTH)
def test_the_gradient_keeps_its_size_when_answers_are_softened(imitation: Imitation) -> None:
    sizes = []
    for temperature in (8.0, 64.0):
        logits = STUDENT.clone().requires_grad_()
        answers = torch.from_numpy(imitation.answers([TEACHER], temperature))
        imitation.divergence(logits, answers, temperature).backward()  # type: ignore[no-untyped-call]
        assert logits.grad is not None
        sizes.append(logits.grad.norm().item())
    assert sizes[1] == pytest.approx(sizes[0], rel=0.1)


def test_teachers_are_averaged_as_probabilities_and_stay_that_as_logits() -> None:
    mean = (softmax(TEACHER) + softmax(OTHER)) / 2
    answers = OneLabel().answers([TEACHER, OTHER], 1.0)
    assert np.allclose(answers, mean, atol=1e-6)
    assert np.allclose(softmax(OneLabel().together(answers)), mean, atol=1e-6)
    each = (sigmoid(TEACHER) + sigmoid(OTHER)) / 2
    binary = AnyLabels().answers([TEACHER, OTHER], 1.0)
    assert np.allclose(binary, each, atol=1e-6)
    assert np.allclose(sigmoid(AnyLabels().together(binary)), each, atol=1e-6)
