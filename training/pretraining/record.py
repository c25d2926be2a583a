"""What a pretraining run leaves behind.

encoders/<name>/
  config.json, model.safetensors   the masked language model
  tokenizer.json, ...              its tokenizer
  trainer/                         Trainer's own checkpoints while the run lasts, and TensorBoard events
  pretraining.json                 `PretrainingRecord`, written last and atomically: its presence means "complete"
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from training.encoders import PRETRAINING_RECORD, Pooling
from training.records import read_record, write_record


class Quality(BaseModel):
    """How well held-out words are guessed. Comparable only between models of one tokenizer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    loss: float
    """Cross-entropy of a masked token, in nats."""
    perplexity: float
    """e to the loss."""
    accuracy: float
    """Share of the masked tokens that are the most probable one, in [0, 1]."""


class PretrainingRecord(BaseModel):
    """Everything that is known of a finished run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    name: str
    model: str | None
    """The checkpoint that it went on from; None: from scratch."""
    pooling: Pooling | None
    """What stands for a text when `fit` starts from here: as the checkpoint says, None where it says nothing; from scratch the
    mean of the tokens, since nothing has taught the first one to stand for the others."""
    vocabulary: int
    weights: int
    """Of the whole model, with the head that guesses words."""
    max_length: int
    texts_read: int
    encodings: dict[str, str] = {}
    """Text file -> how it was decoded."""
    texts: int
    """Distinct ones that were trained on."""
    held_out_texts: int
    tokens: int
    """Of the texts that were trained on, without special ones."""
    unknown_share: float
    """Of the tokens, in [0, 1]: characters that the tokenizer does not know."""
    before: Quality
    after: Quality
    curve: dict[int, float]
    """Updates -> held-out loss, on the way."""
    updates: int
    epochs: float
    """Passes over the texts."""
    training_s: float
    """Of the loop alone."""
    tokens_per_s: float
    """Special ones counted, padding not."""
    data_fingerprint: str
    step_fingerprint: str
    """SHA-256 over data, settings, checkpoint and the code of the step; an equal one means that nothing must be done again."""
    config: dict[str, object]
    """The settings, with what was chosen in place of None."""
    versions: dict[str, str]
    seconds: float
    """Of the process that ended the run."""
    create_time: str
    """RFC 3339, UTC."""


class EncoderDirectory:
    """Names the files of one run; creating the object touches nothing."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.trainer = root / "trainer"
        self.tokenizer = self.trainer / "tokenizer"
        self.record_path = root / PRETRAINING_RECORD

    def record(self) -> PretrainingRecord | None:
        """The record of a complete run; None when there is none (yet), or one that another version of this program wrote."""
        return read_record(self.record_path, PretrainingRecord)

    def write_record(self, record: PretrainingRecord) -> None:
        """Marks the run complete."""
        write_record(self.record_path, record)
