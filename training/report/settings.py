"""Settings of the evaluation report. They change what is said of a model, never the model."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ReportSettings(BaseModel):
    """What the report holds besides the scores."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    robustness_rows: int = Field(default=200, ge=0, le=10_000)
    """Test rows at most that are perturbed, each in eleven ways; 0 leaves the part out."""
    explained_rows: int = Field(default=6, ge=0, le=100)
    """Test rows at most of which the words are weighed, half of them mistakes; 0 leaves the part out."""
    license: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9.+-]{0,63}$")
    """Of the model, as the Hugging Face hub names licences, such as apache-2.0 or cc-by-4.0. None: unknown."""
