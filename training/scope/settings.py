"""Settings of out-of-scope detection. Frozen, complete, checked against themselves."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

DetectorName = Literal["max_softmax", "energy", "mahalanobis", "combined", "combined_with_outliers"]
"""How far out of scope a text lies; see `training.scope.detector`."""


class ScopeSettings(BaseModel):
    """Which texts are none of the classes, and how many of those that are may be taken for such."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str | None = None
    """A file of texts that are none of the classes: csv, tsv, jsonl, parquet, or txt with one text a line. None: none are
    known; then the threshold still holds for the texts in scope, but nobody knows how many others are found."""
    detector: DetectorName | Literal["auto"] = "auto"
    """auto: the one that finds most of the validation split's texts out of scope at the operating point; without any such texts
    `combined`."""
    acceptance: float = Field(default=0.99, ge=0.5, le=0.9999)
    """The operating point: share of the validation rows in scope that must stay in scope."""
    exposure: bool = False
    """Train on the texts out of scope, too: all labels are to be equally probable (outlier exposure, Hendrycks et al. 2019)."""
    exposure_weight: float = Field(default=0.5, gt=0, le=10)
    """Of their loss, beside that of the rows in scope."""
    exposure_share: float = Field(default=0.1, gt=0, le=2)
    """Of them seen in an epoch, as a share of the rows in scope; fewer texts than that are seen again and again."""

    @property
    def learns_from_texts(self) -> bool:
        """Whether texts out of scope are needed for learning, not only to choose and to measure by."""
        return self.exposure or self.detector == "combined_with_outliers"

    @model_validator(mode="after")
    def _consistent(self) -> ScopeSettings:
        if self.path is None and self.exposure:
            raise ValueError("exposure trains on texts out of scope: give them with path (--out-of-scope)")
        if self.path is None and self.detector == "combined_with_outliers":
            raise ValueError(
                "combined_with_outliers learns from texts out of scope: give them with path (--out-of-scope)"
            )
        return self
