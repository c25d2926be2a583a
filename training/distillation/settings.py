"""Settings of distillation: who teaches, what the student is made of, and what it is to imitate."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator


class DistillationSettings(BaseModel):
    """Loss of a row: (1 - weight) x the task's own + weight x temperature^2 x KL to the teachers + hidden_weight x distance of
    hidden states (Hinton et al. 2015; Sun et al. 2019, "Patient Knowledge Distillation")."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    teachers: tuple[str, ...] = Field(min_length=1)
    """Folders of finished runs. The probabilities of several are averaged."""
    layers: int | None = Field(default=None, ge=1)
    """The student is the first teacher with so many of its layers, evenly spaced, the last one included. None: it is the
    encoder of `model`."""
    unlabelled: tuple[str, ...] = ()
    """Files of texts without labels, on which the student learns the teachers' answers alone."""
    weight: float = Field(default=0.8, ge=0, le=1)
    """Of the teachers' answers against the labels."""
    temperature: float = Field(default=2.0, gt=0, le=100)
    """Logits of teachers and student are divided by it: the higher, the more the less likely labels count."""
    hidden_weight: float | None = Field(default=None, ge=0)
    """Of the hidden states, whose distance is 1 - cosine, of each layer that the student has of the first teacher. None: 1
    with `layers`; without them there are no such layers."""

    @model_validator(mode="after")
    def _consistent(self) -> DistillationSettings:
        if len(set(self.teachers)) < len(self.teachers):
            raise ValueError("a teacher is named twice; the answers of each count once")
        if self.hidden_weight and self.layers is None:
            raise ValueError(
                "hidden_weight needs layers: only layers of a teacher have hidden states to be compared with"
            )
        return self

    @property
    def weight_of_hidden(self) -> float:
        """`hidden_weight`, or what it is when it is left open."""
        if self.hidden_weight is not None:
            return self.hidden_weight
        return 0.0 if self.layers is None else 1.0
