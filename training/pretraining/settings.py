"""Settings of one pretraining run: frozen, complete, checked against themselves."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from training.settings_reading import validated

NEW_MODEL = ("vocabulary", "lowercase", "layers", "hidden_size", "heads", "intermediate_size", "dropout")
"""What a model from scratch is like; a checkpoint brings its own. The defaults make 5 million weights, for two cores."""


class PretrainingSettings(BaseModel):
    """How an encoder is made from texts. None means: chosen, and recorded in pretraining.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    paths: tuple[str, ...] = Field(min_length=1)
    """Files of one text a line (.txt), tables (.csv, .tsv, .jsonl, .parquet), or folders of these."""
    text: str | None = None
    """Column of the text in tables; None: found by name, then by shape."""
    encoding: str | None = None
    """Of text files; None: found as for labelled data."""
    held_out_fraction: float = Field(default=0.02, gt=0, lt=0.5)
    """Texts that only measure, at most 2,000."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")
    """Name of the encoder's folder: lower case, digits, dot, underscore, hyphen."""
    model: str | None = None
    """Checkpoint to go on from: `minilm` (packaged), a hub id, or a folder. None: a new BERT and a new tokenizer."""
    vocabulary: int = Field(default=8_000, ge=100, le=250_000)
    """Tokens of the new tokenizer, at most."""
    lowercase: bool = True
    """Whether the new tokenizer lower-cases and takes accents away, as uncased BERTs do."""
    layers: int = Field(default=4, ge=1, le=48)
    hidden_size: int = Field(default=256, ge=8, le=4_096)
    heads: int = Field(default=4, ge=1, le=64)
    intermediate_size: int = Field(default=1_024, ge=8, le=16_384)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """While it is pretrained: on this scale it sees too little to learn anything by heart (Geiping and Goldstein 2023)."""
    max_length: int = Field(default=256, ge=16, le=8_192)
    """Tokens of a sequence; longer texts are cut into pieces. A new model has as many positions."""

    masked_share: float = Field(default=0.15, gt=0, lt=1)
    """Of the tokens, in whole words, drawn anew whenever a text is seen."""
    batch_tokens: int = Field(default=4_096, ge=16)
    """Of a batch, padding included."""
    gradient_accumulation: int = Field(default=1, ge=1)
    """Batches summed into one update."""
    minutes: float | None = Field(default=None, gt=0)
    """Of the whole run: what reading and measuring leave is for training, and the rate falls to zero just then."""
    epochs: float | None = Field(default=None, gt=0)
    """Passes over the texts; where neither these nor minutes nor steps are given 3 from a checkpoint, 20 from scratch."""
    steps: int | None = Field(default=None, ge=1)
    """Updates of the weights."""
    learning_rate: float | None = Field(default=None, gt=0, lt=1)
    """Peak rate; None: from a checkpoint 1e-4 up to width 384, else 5e-5; from scratch 1e-3 up to width 256, falling with it."""
    mixed_precision: Literal["auto", "no", "fp16", "bf16"] = "auto"
    """auto: bf16, or else fp16, on a GPU; none on a processor."""
    checkpoint_every_s: float = Field(default=60.0, gt=0)
    """A killed run loses at most about this many seconds of work."""
    seed: int = Field(default=13, ge=0)

    @model_validator(mode="after")
    def _consistent(self) -> PretrainingSettings:
        given = [name for name in NEW_MODEL if name in self.model_fields_set]
        if self.model is not None and given:
            raise ValueError(f"{', '.join(given)}: the model {self.model} brings its own; leave out one or the other")
        if sum(each is not None for each in (self.minutes, self.epochs, self.steps)) > 1:
            raise ValueError("minutes, epochs and steps exclude one another; give one of them")
        if self.hidden_size % self.heads:
            raise ValueError("hidden_size must be a multiple of heads")
        if self.batch_tokens < self.max_length:
            raise ValueError("batch_tokens must not be below max_length: a batch holds one sequence or more")
        return self


def load_pretraining_settings(flags: dict[str, Any]) -> PretrainingSettings:
    """Settings from flags. Raises InvalidSettings that names each wrong field."""
    return validated(PretrainingSettings, flags)
