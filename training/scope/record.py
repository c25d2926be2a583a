"""What a run's record says of texts out of scope. Pure: read without torch or scikit-learn."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

SCOPE_TITLES = {
    "in_scope_accuracy": "accuracy in scope",
    "in_scope_acceptance": "kept in scope",
    "out_of_scope_recall": "found out of scope",
    "auroc": "area under the ROC curve",
}
"""Figures of the evidence and their titles."""


class ScopeRecord(BaseModel):
    """How a run's model tells texts that are none of its classes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    detector: str
    acceptance: float
    """The operating point: share of the validation rows in scope that the threshold keeps."""
    threshold: float
    """A text whose score is above it is out of scope."""
    exposure: bool
    """Whether the model was trained on texts out of scope."""
    rows: dict[str, int] = Field(default={})
    """Texts out of scope in each split; empty where none are known."""
    evidence: dict[str, float]
    """On the test split, in [0, 1], at the threshold: in_scope_accuracy (a row that is refused counts as wrong),
    in_scope_acceptance, and where texts out of scope are known out_of_scope_recall and auroc."""
    intervals: dict[str, tuple[float, float]] = {}
    """95 % intervals of the evidence (bootstrap)."""
