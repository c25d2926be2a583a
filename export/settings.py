"""Settings of the export step."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator

from export.recipes.catalogue import DEFAULT, UnknownRecipe, named


class Budget(BaseModel):
    """What a variant of any task may lose."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_drop: float = Field(default=1.0, ge=0, le=100)
    """Percentage points of validation accuracy, or of what else the task is judged by, where rows say what is right: R² of
    numbers, nDCG@10 of rankings, the score of a trained encoder."""
    strict_drop: bool = False
    """True: the whole 95 % interval of the paired difference must lie within `max_drop`, not the drop measured alone."""
    max_leak: float = Field(default=0.01, ge=0, le=1)
    """How far an output may move by tokens that the mask hides, as a share of the outputs' spread (largest less smallest). It is
    0 for float32, float16 and static int8, 0.06 for dynamic int8, in whose scales hidden tokens have a part, and more where the
    mask is misread. A float32 variant must also keep within its limit of differences."""
    max_flips: float = Field(default=0.002, ge=0, le=1)
    """Share of validation rows whose label (or nearest neighbour; number, by more than 0.01 standard deviations; relevance, by
    more than 0.01) may change with the company they are computed in. Dynamic int8 has one activation scale for a whole batch and
    fails here; static int8 has fixed scales."""


class Gate(Budget):
    """What a variant may lose against the PyTorch checkpoint before it is refused."""

    max_logit_difference: float = Field(default=1e-4, gt=0)
    """Of float32 variants, over padding, masks with holes, the shortest and the longest input."""
    min_agreement: float = Field(default=0.98, ge=0, le=1)
    """Share of validation rows with the checkpoint's best label; of numbers, rank correlation with the checkpoint's; of
    candidates, pairs within a query in the checkpoint's order."""
    min_structural_agreement: float = Field(default=0.9, ge=0, le=1)
    """The same of networks that are not the run's own, which err elsewhere: what they lose in all is up to `max_drop`."""
    min_half_agreement: float = Field(default=0.995, ge=0, le=1)
    """The same of float16 variants: what rounds so little has no excuse."""
    min_scope_agreement: float = Field(default=0.97, ge=0, le=1)
    """Share of validation rows, in scope and out of it, that are told in or out as the checkpoint tells them. Below the agreement
    of labels: the operating point lies in the tail of the scores, where many are near the threshold."""
    max_score_difference: float = Field(default=1e-3, gt=0)
    """Of float32 variants, in standard deviations of the validation rows in scope, over the same shapes as logits, too."""
    max_mean_difference: float = Field(default=0.1, gt=0)
    """Of numbers, from the checkpoint's: mean distance in standard deviations of the training rows' numbers. Of relevances, the
    mean distance."""
    max_calibration_shift: float = Field(default=0.02, ge=0, le=1)
    """How much the expected calibration error may grow. Coarse on purpose: on few rows the error itself is noise."""


class EncoderGate(Budget):
    """What a variant may lose before it is refused."""

    max_difference: float = Field(default=1e-4, gt=0)
    """Of float32 variants, of any element, over padding, masks with holes, the shortest and the longest input."""
    min_mean_cosine: float = Field(default=0.99, ge=0, le=1)
    min_agreement: float = Field(default=0.9, ge=0, le=1)
    """Share of texts whose nearest neighbour among the others is the checkpoint's."""


class ExportSettings(BaseModel):
    """How a run becomes a bundle."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gate: Gate = Gate()
    encoder_gate: EncoderGate = EncoderGate()
    """That of sentence encoders."""
    quantize: bool = True
    """False: no int8 variant."""
    variants: str = DEFAULT
    """Which are made: as `export.recipes.catalogue` reads it."""
    half: bool = False
    """Adds a float16 variant for CUDA."""
    tensorrt: bool = False
    """Adds a float32 variant without fused operators, for TensorRT."""
    structures: tuple[str, ...] = ()
    """Names of `export.structure.catalogue`: networks made of the run's by taking parts away, as further variants."""
    structure_rows: int = Field(default=512, ge=8, le=100_000)
    """Training rows that say which parts matter least."""
    candidate_runs: tuple[Path, ...] = ()
    """Folders of runs of the same task, such as students, whose networks are further variants."""
    trim_vocabulary: bool = False
    """Leaves out tokens of scripts that the run's rows do not have."""
    calibration_rows: int = Field(default=256, ge=8, le=10_000)
    """Training rows that fix the activation scales."""
    tune_seconds: float = Field(default=20.0, ge=0)
    """About how long the variants are compared for the choice of this host; 0: not at all."""
    seed: int = Field(default=13, ge=0)
    data_licence: str = "not stated"
    """Of the training data, for the model card and the bill of materials."""

    @model_validator(mode="after")
    def _known(self) -> ExportSettings:
        if self.variants == DEFAULT:
            return self
        if not self.quantize:
            raise ValueError(
                "variants says what is made, and quantize says that nothing is quantized: leave one of them out"
            )
        try:
            named(self.variants)
        except UnknownRecipe as error:
            raise ValueError(str(error)) from None
        return self
