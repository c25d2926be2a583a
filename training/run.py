"""The run directory: what a training run leaves behind, and the contract between training and export.

runs/<name>/
  data/{train,validation,test}.jsonl    the rows as trained on, one a line: {"text", "text_pair"?, "label", "labels"?,
                                        "value"?, "entities"?, ...}
  data/out_of_scope_{...}.jsonl         the same of texts that are none of the classes, where there are any
  data/augmented.jsonl                  after augmentation: the copies of training rows that were trained on, too
  data/unlabelled.jsonl                 after distillation: texts that only teachers answered
  data/report.{json,html}               the data report of `inspect`
  checkpoint/                           encoder and head (safetensors), config, tokenizer.json
  evaluation/                           metrics.json, plots (which ones, the task says), predictions.jsonl
  trainer/                              Trainer's own checkpoints (resume) and TensorBoard events
  run.json                              `RunRecord`, written last and atomically: its presence means "complete"
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from training.dataset import Entity, Example, Split, TaskName
from training.encoders import Pooling
from training.numbers import Scale
from training.records import read_record, write_record
from training.scope.record import ScopeRecord

Part = Split | Literal["augmented", "unlabelled"]


class Effort(BaseModel):
    """What the training loop did, and what it took."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trained_weights: int
    weights: int
    """Of encoder and head, whichever of them were trained."""
    epochs: int
    """That were run; early stopping ends before those that were planned."""
    best_epoch: int
    seconds_per_epoch: float
    """Validation included; of the epochs since the run was last resumed."""


class AugmentationRecord(BaseModel):
    """Varied copies that stood among the training rows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    copies: int
    kinds: dict[str, int]
    """Kind -> copies."""
    labels: dict[str, int]
    """Label -> copies that have it."""
    left_out: dict[str, int]
    """Why a copy that was wanted is not among them -> how many."""


class TeacherRecord(BaseModel):
    """A run that a student was distilled from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    fingerprint: str
    """SHA-256 over the files of its checkpoint."""
    layers: int
    """Of its encoder."""
    metrics: dict[str, float]
    """On the student's test rows; metrics as in the run's own."""


class DistillationRecord(BaseModel):
    """What a student learned from, and how much of it stayed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    teachers: list[TeacherRecord]
    together: dict[str, float]
    """Metrics of the teachers' averaged answers on the student's test rows; of one teacher its own."""
    layers: list[int] | None
    """Of the first teacher, numbered from 1, that the student was made of; None where it was not made of a teacher."""
    unlabelled: int
    """Texts without labels that it learned from, too."""
    left_out: dict[str, int]
    """Why such texts were left out -> how many."""
    kept: float
    """The student's score over the teachers' together, by the metric that the task is judged by; above 1 when it is better."""


class RunRecord(BaseModel):
    """Everything that export and serving need to know about a finished run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    name: str
    task: TaskName = "single_label_classification"
    labels: list[str]
    max_length: int
    """Tokens a text is cut to, special tokens included."""
    pair: bool
    """True when the model was trained on (text, text_pair)."""
    encoder: str
    """Where the encoder came from: hub id, local folder or packaged name."""
    pooling: Pooling | None
    """None where each token stands for itself."""
    temperature: float
    """Logits are divided by it before softmax or sigmoid; fitted on the validation split (Guo et al. 2017)."""
    thresholds: list[float] | None = None
    """Probability from which each label applies, in the order of the labels; where texts can have several."""
    out_of_scope: ScopeRecord | None = None
    """None where every text gets a label."""
    scale: Scale | None = None
    """Of regression: the model's output times the deviation, plus the mean, is the number."""
    metrics: dict[str, dict[str, float]]
    """Split -> metric -> value; accuracies and F1 in [0, 1], errors of numbers in their units."""
    intervals: dict[str, tuple[float, float]] = {}
    """Metric -> 95 % interval (bootstrap over the rows, of rankings over the queries) of its value on the test split."""
    data_fingerprint: str
    step_fingerprint: str
    """SHA-256 over data, configuration and the code of the step; an equal one means that nothing must be done again."""
    config: dict[str, object]
    """The settings, with what the data decided in place of None."""
    effort: Effort | None = None
    """None in records of before it was kept."""
    distillation: DistillationRecord | None = None
    """None without teachers."""
    augmentation: AugmentationRecord | None = None
    """None without copies."""
    versions: dict[str, str]
    seconds: float
    create_time: str
    """RFC 3339, UTC."""


class RunDirectory:
    """Names the files of one run; creating the object touches nothing."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.data = root / "data"
        self.checkpoint = root / "checkpoint"
        self.evaluation = root / "evaluation"
        self.trainer = root / "trainer"
        self.record_path = root / "run.json"

    def aside(self, folder: Path) -> RunDirectory:
        """The same run with another folder for its files, but for the trainer's own."""
        other = RunDirectory(folder)
        other.trainer = self.trainer
        return other

    def stage(self, name: str) -> RunDirectory:
        """The same run with a folder of its own for the trainer's files of one stage."""
        other = RunDirectory(self.root)
        other.trainer = self.trainer / name
        return other

    def record(self) -> RunRecord | None:
        """The record of a complete run; None when there is none (yet), or one that another version of this program wrote."""
        return read_record(self.record_path, RunRecord)

    def write_record(self, record: RunRecord) -> None:
        """Marks the run complete."""
        write_record(self.record_path, record)

    def write_split(self, split: Part, examples: list[Example], outside: bool = False) -> None:
        """Keeps the rows of one split as they were trained on; with `outside` the texts out of scope."""
        self.data.mkdir(parents=True, exist_ok=True)
        with self._rows(split, outside).open("w", encoding="utf-8") as file:
            for example in examples:
                row: dict[str, object] = {"text": example.text, "label": example.label}
                if example.labels is not None:
                    row["labels"] = example.labels
                if example.value is not None:
                    row["value"] = example.value
                if example.entities is not None:
                    row["entities"] = [asdict(entity) for entity in example.entities]
                if example.text_pair is not None:
                    row["text_pair"] = example.text_pair
                if example.negative is not None:
                    row["negative"] = example.negative
                if example.extra:
                    row["extra"] = example.extra
                file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def _rows(self, split: Part, outside: bool) -> Path:
        return self.data / f"{'out_of_scope_' if outside else ''}{split}.jsonl"

    def examples(self, split: Part, outside: bool = False) -> Iterator[Example]:
        """The rows of one split, in order; with `outside` the texts out of scope. Of copies and of rows without labels there may
        be none."""
        path = self._rows(split, outside)
        if not isinstance(split, Split) and not path.is_file():
            return
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                row = json.loads(line)
                yield Example(
                    row["text"],
                    row["label"],
                    row.get("text_pair"),
                    split if isinstance(split, Split) else Split.TRAIN,
                    str(self.data),
                    number,
                    row.get("extra", {}),
                    tuple(row["labels"]) if "labels" in row else None,
                    row.get("value"),
                    None,
                    row.get("negative"),
                    tuple(Entity(**entity) for entity in row["entities"]) if "entities" in row else None,
                )
