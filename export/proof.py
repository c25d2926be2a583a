"""The proof of a variant as the manifest keeps it: what was compared with the checkpoint, and how it came out. Pure: no torch.

Fractions are in [0, 1]. What a manifest of before has not measured is empty or None.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from export.contract import Contract

Order = Literal["by length", "shuffled"]


class Arrangement(Contract):
    """The same rows in batches, beside what each of them is answered alone."""

    batch: int = Field(gt=1)
    order: Order
    rows: int = Field(gt=0)
    """A seeded sample of the validation rows where these are many."""
    flips: float = Field(ge=0, le=1)
    """Rows that are answered otherwise, as `ParityProof.flips_with_batch_mates` says it of each task."""
    max_logit_drift: float
    """The largest change of any output."""

    def __str__(self) -> str:
        return f"batches of {self.batch}, {self.order}"


class CalibrationShift(Contract):
    """How far stated probabilities are from what comes true: the expected calibration error (15 bins of equal width) on the
    validation rows at the run's temperature, in [0, 1]."""

    checkpoint: float = Field(ge=0, le=1)
    variant: float = Field(ge=0, le=1)

    @property
    def shift(self) -> float:
        """Above 0 where the variant's probabilities are worse."""
        return self.variant - self.checkpoint


class ScopeProof(Contract):
    """How alike a variant and the checkpoint tell texts out of scope, each at its own threshold."""

    rows: int = Field(gt=0)
    """Validation rows compared, in scope and out of it."""
    agreement: float = Field(ge=0, le=1)
    """Rows that both call in scope, or both out of it."""
    flips_with_batch_mates: float = Field(ge=0, le=1)
    """Rows whose answer changes between being alone and being in a batch, in the worst of the parity proof's arrangements."""
    max_score_difference: float
    """Of these rows, and of the shapes that the parity proof names."""


class ParityProof(Contract):
    """All of it."""

    rows: int = Field(gt=0)
    """Validation rows compared, each computed alone."""
    max_logit_difference: float
    """Of these rows, and of the shapes."""
    mean_logit_difference: float
    """Of these rows."""
    agreement: float = Field(ge=0, le=1)
    """Rows with the same best label as the checkpoint, or words, where words are labelled; with several labels a row, decisions
    (row and label) that are the same; of numbers, Spearman's rank correlation; of candidates, pairs within a query that are in
    the same order; of embeddings, rows with the same nearest neighbour among them."""
    reference_accuracy: float | None = Field(default=None, le=1)
    accuracy: float | None = Field(default=None, le=1)
    """With several labels a row, micro F1; where words are labelled, F1 of whole entities; of numbers R², which may be below 0;
    of rankings nDCG@10; of embeddings what their task is judged by. Both None where nothing says what is right."""
    drop_interval: tuple[float, float] | None = None
    """Percentage points of accuracy lost: the 95 % interval of the paired difference (percentile bootstrap over rows, or over
    queries, of the checkpoint's score less the variant's on the same ones)."""
    mean_cosine: float | None = None
    min_cosine: float | None = None
    """Between the vectors of the variant and of the checkpoint, over the rows; embedding alone has them."""
    arrangements: list[Arrangement] = Field(default=[])
    flips_with_batch_mates: float = Field(ge=0, le=1)
    """In the worst arrangement, rows whose label, one of whose labels, one of whose words' labels, or whose nearest neighbour
    changes between being alone and being in a batch; of numbers, those that move by more than 0.01 standard deviations; of
    candidates, those whose relevance moves by more than 0.01."""
    leak: float | None = None
    """Largest change of an output by tokens that the mask hides, as a share of the outputs' spread over the rows."""
    mean_difference: float | None = None
    """From the checkpoint's numbers, in standard deviations of the training rows' numbers; from its relevances."""
    max_drift: float | None = None
    """Of any number, or relevance, with batch mates, in the same unit."""
    calibration: CalibrationShift | None = None
    """None where the task gives no probabilities."""
    scope: ScopeProof | None = None
    """None where the model does not tell texts out of scope."""
    shapes_checked: list[str]
    """Such as "mixed lengths", "left padding", "mask with holes", "length 1", "length 256"."""
    shape_differences: dict[str, float] = Field(default={})
    """Shape -> largest difference of an output."""
    passed: bool
    reasons: list[str]
    """Why the gate refused the variant; empty when it passed."""

    @property
    def drop(self) -> float:
        """Percentage points of accuracy lost; 0 where there is none to lose."""
        return 100 * ((self.reference_accuracy or 0.0) - (self.accuracy or 0.0))

    @property
    def worst_arrangement(self) -> Arrangement | None:
        """The one in which most answers change, of equals the one that moves outputs most; None in manifests of before."""
        return max(self.arrangements, key=lambda each: (each.flips, each.max_logit_drift), default=None)
