"""Settings of one label audit: frozen, complete, checked against themselves."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from training.data_settings import DataSettings
from training.settings import RunName
from training.settings_reading import validated

Via = Literal["vectors", "fine-tuning"]


class AuditSettings(BaseModel):
    """What is audited, and by which models."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: DataSettings
    name: RunName
    """Of the audit, and of its folder."""
    model: str = "minilm"
    """`minilm` (packaged), a hub id such as bert-base-chinese, or a folder."""
    via: Via = "vectors"
    """vectors: a logistic regression on vectors of the frozen encoder; fine-tuning: the encoder itself, once a fold."""
    folds: int = Field(default=5, ge=2, le=20)
    """Models trained; each judges the rows that the others were trained on."""
    max_length: int | None = Field(default=None, ge=8, le=8192)
    """Tokens a text is cut to; None: 256 for vectors, chosen from the data for fine-tuning."""
    epochs: int | None = Field(default=None, ge=1, le=200)
    """Of fine-tuning; None: chosen from the data."""
    seed: int = Field(default=13, ge=0)


def audit_settings(flags: dict[str, Any], data_flags: dict[str, Any]) -> AuditSettings:
    """Settings of the flags that were given. Raises InvalidSettings that names each wrong field."""
    return validated(AuditSettings, {**flags, "data": data_flags})
