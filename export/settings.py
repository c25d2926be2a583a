"""Settings of the export step."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Gate(BaseModel):
    """What a variant may lose against the PyTorch checkpoint before it is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_logit_difference: float = Field(default=1e-4, gt=0)
    """Of float32 variants, over padding, masks with holes, the shortest and the longest input."""
    min_agreement: float = Field(default=0.98, ge=0, le=1)
    """Share of validation rows with the checkpoint's best label; of numbers, rank correlation with the checkpoint's; of
    candidates, pairs within a query in the checkpoint's order."""
    min_half_agreement: float = Field(default=0.995, ge=0, le=1)
    """The same of float16 variants: what rounds so little has no excuse."""
    min_scope_agreement: float = Field(default=0.97, ge=0, le=1)
    """Share of validation rows, in scope and out of it, that are told in or out as the checkpoint tells them. Below the agreement
    of labels: the operating point lies in the tail of the scores, where many are near the threshold."""
    max_score_difference: float = Field(default=1e-3, gt=0)
    """Of float32 variants, in standard deviations of the validation rows in scope, over the same shapes as logits, too."""
    max_drop: float = Field(default=1.0, ge=0, le=100)
    """Percentage points of validation accuracy; of numbers, of R²; of rankings, of nDCG@10."""
    max_mean_difference: float = Field(default=0.1, gt=0)
    """Of numbers, from the checkpoint's: mean distance in standard deviations of the training rows' numbers. Of relevances, the
    mean distance."""
    max_flips: float = Field(default=0.002, ge=0, le=1)
    """Share of validation rows whose label (or number, by more than 0.01 standard deviations, or relevance, by more than
    0.01) may change with the company they are computed in. Dynamic int8 has one activation scale for a whole batch and fails
    here; static int8 has fixed scales."""


class EncoderGate(BaseModel):
    """What a variant may lose before it is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_difference: float = Field(default=1e-4, gt=0)
    """Of float32 variants, of any element, over padding, masks with holes, the shortest and the longest input."""
    min_mean_cosine: float = Field(default=0.99, ge=0, le=1)
    min_agreement: float = Field(default=0.9, ge=0, le=1)
    """Share of texts whose nearest neighbour among the others is the checkpoint's."""
    max_drop: float = Field(default=1.0, ge=0, le=100)
    """Percentage points of the score on the validation rows, where there are any."""
    max_flips: float = Field(default=0.002, ge=0, le=1)
    """Share of texts whose nearest neighbour changes with the company they are computed in."""


class ExportSettings(BaseModel):
    """How a run becomes a bundle."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gate: Gate = Gate()
    encoder_gate: EncoderGate = EncoderGate()
    """That of sentence encoders."""
    quantize: bool = True
    """False: no int8 variant."""
    half: bool = False
    """Adds a float16 variant for CUDA."""
    tensorrt: bool = False
    """Adds a float32 variant without fused operators, for TensorRT."""
    calibration_rows: int = Field(default=256, ge=8, le=10_000)
    """Training rows that fix the activation scales."""
    tune_seconds: float = Field(default=20.0, ge=0)
    """About how long the variants are compared for the choice of this host; 0: not at all."""
    seed: int = Field(default=13, ge=0)
