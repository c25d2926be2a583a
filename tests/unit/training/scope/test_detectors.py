"""Detectors: what they compute, how one is chosen, where scores are cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import logsumexp, softmax
from sklearn.metrics import roc_auc_score

from training.scope.detector import PARTS, ScopeDetector
from training.scope.evidence import auroc, figures, recall, threshold_at, uncertainty
from training.scope.fitting import BY_DEFAULT, Material, Seen, fitted, scores
from training.scope.settings import DetectorName, ScopeSettings

WIDTH, LABELS = 8, 3
CENTERS = 4.0 * np.eye(LABELS, WIDTH, dtype=np.float32)
STRETCH = np.linspace(0.3, 1.2, WIDTH, dtype=np.float32)


def inside(count: int, seed: int = 0) -> tuple[Seen, NDArray[np.int64]]:
    """Clouds around three means, of one covariance."""
    truth = np.arange(count) % LABELS
    vectors = CENTERS[truth] + STRETCH * np.random.default_rng(seed).standard_normal((count, WIDTH)).astype(np.float32)
    return Seen(vectors, 1.5 * vectors[:, :LABELS]), truth


def outside(count: int, seed: int = 0) -> Seen:
    """A cloud elsewhere, which the logits cannot tell from the first label."""
    vectors = STRETCH * np.random.default_rng(seed).standard_normal((count, WIDTH)).astype(np.float32)
    vectors += np.array([4, 0, 0, 0, 3, 0, 0, 0], np.float32)
    return Seen(vectors, 1.5 * vectors[:, :LABELS])


def material(known: bool = True) -> Material:
    train, truth = inside(600, seed=1)
    others = (outside(80, seed=3), outside(80, seed=4)) if known else (None, None)
    return Material(train, truth, inside(300, seed=2)[0], *others)


def of(name: str, made_of: Material) -> ScopeDetector:
    return fitted(made_of, ScopeSettings(path="any", detector=name))  # type: ignore[arg-type]


def test_each_detector_orders_texts_as_its_paper_says() -> None:
    made_of, seen = material(), inside(50)[0]
    covariance = np.diag(STRETCH.astype(np.float64) ** 2)
    distances = np.stack(
        [np.einsum("ij,jk,ik->i", d, np.linalg.inv(covariance), d) for d in (seen.vectors - c for c in CENTERS)]
    ).min(axis=0)
    expected = {
        "max_softmax": -softmax(seen.logits, axis=1).max(axis=1),
        "energy": -logsumexp(seen.logits, axis=1),
    }
    for name, values in expected.items():
        assert np.corrcoef(scores(of(name, made_of), seen), values)[0, 1] == pytest.approx(1.0, abs=1e-5)
    # means and covariance are estimates
    assert np.corrcoef(scores(of("mahalanobis", made_of), seen), distances)[0, 1] > 0.98


@pytest.mark.parametrize("name", list(PARTS))
def test_scores_are_deviations_of_the_validation_rows_in_scope(name: DetectorName) -> None:
    made_of = material()
    found = scores(of(name, made_of), made_of.validation)
    assert found.dtype == np.float32
    assert found.mean() == pytest.approx(0.0, abs=1e-4)
    assert 0.5 < found.std() <= 1.0 + 1e-4


@pytest.mark.parametrize("name", list(PARTS))
def test_a_detector_is_the_same_after_it_was_saved(name: DetectorName, tmp_path: Path) -> None:
    detector, seen = of(name, material()), inside(20)[0]
    detector.save(tmp_path)
    loaded = ScopeDetector.load(tmp_path, WIDTH, LABELS)
    assert loaded is not None
    np.testing.assert_array_equal(scores(loaded, seen), scores(detector, seen))


def test_a_checkpoint_without_a_detector_has_none(tmp_path: Path) -> None:
    assert ScopeDetector.load(tmp_path, WIDTH, LABELS) is None


def test_auto_takes_the_one_that_finds_most_at_the_operating_point() -> None:
    made_of = material()
    assert made_of.outside_validation is not None
    chosen = fitted(made_of, ScopeSettings(path="any"))
    found = {}
    for name in PARTS:
        detector = of(name, made_of)
        cut = threshold_at(scores(detector, made_of.validation), ScopeSettings().acceptance)
        found[name] = recall(scores(detector, made_of.outside_validation), cut)
    assert found[chosen.name] == max(found.values())
    assert found[chosen.name] > found["max_softmax"] + 0.2


def test_auto_without_texts_out_of_scope_takes_the_usual_one() -> None:
    assert fitted(material(known=False), ScopeSettings()).name == BY_DEFAULT


def test_classes_of_one_row_leave_a_covariance_that_can_be_inverted() -> None:
    seen, truth = inside(LABELS)
    few = Material(seen, truth, seen, None, None)
    assert np.isfinite(scores(fitted(few, ScopeSettings(detector="mahalanobis")), inside(10)[0])).all()


def test_vectors_of_large_numbers_lose_nothing() -> None:
    made_of = material()
    assert made_of.train is not None
    moved = Material(
        Seen(made_of.train.vectors + 100.0, made_of.train.logits),
        made_of.truth,
        Seen(made_of.validation.vectors + 100.0, made_of.validation.logits),
        None,
        None,
    )
    plain = scores(of("mahalanobis", made_of), made_of.validation)
    np.testing.assert_allclose(scores(of("mahalanobis", moved), moved.validation), plain, atol=2e-3)


@given(
    st.lists(st.integers(-100, 100), min_size=1, max_size=60, unique=True),
    st.floats(0.5, 0.999),
)
def test_a_threshold_keeps_at_least_its_share_and_no_row_stands_on_it(values: list[int], acceptance: float) -> None:
    inside_scores = np.array(values, np.float32)
    threshold = threshold_at(inside_scores, acceptance)
    kept = int((inside_scores <= threshold).sum())
    assert kept >= acceptance * len(values) - 1e-6
    assert kept - 1 < acceptance * len(values)
    assert float(np.abs(inside_scores - threshold).min()) > 1e-4


def test_the_evidence_counts_a_refused_row_as_wrong() -> None:
    inside_scores = np.array([0.0, 0.1, 0.2, 2.0], np.float32)
    right = np.array([True, True, False, True])
    found = figures(inside_scores, right, np.array([0.15, 3.0], np.float32), 1.0)
    assert found == {
        "in_scope_accuracy": 0.5,
        "in_scope_acceptance": 0.75,
        "out_of_scope_recall": 0.5,
        "auroc": pytest.approx(6 / 8),
    }


def test_intervals_hold_the_figures() -> None:
    made_of = material()
    assert made_of.outside_validation is not None
    detector = of("combined", made_of)
    measured = (
        scores(detector, made_of.validation),
        np.random.default_rng(5).random(300) < 0.9,
        scores(detector, made_of.outside_validation),
        1.0,
    )
    found, intervals = figures(*measured), uncertainty(*measured)
    assert set(found) == set(intervals)
    assert all(low <= found[name] <= high for name, (low, high) in intervals.items())
    assert all(low < high for low, high in intervals.values())


def test_the_area_is_scikit_learns() -> None:
    random = np.random.default_rng(6)
    one, other = random.standard_normal(40).astype("f"), random.standard_normal(30).astype("f") + 1
    assert auroc(one, other) == pytest.approx(roc_auc_score([0] * 40 + [1] * 30, np.concatenate([one, other])))
