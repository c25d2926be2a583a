"""Distillation as a whole: what fine-tuning asks of it at each of its steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np
from rich.console import Console

from training.dataset import Dataset, Split
from training.distillation.imitation import Logits, imitation_of
from training.distillation.layers import chosen_layers, shortened
from training.distillation.settings import DistillationSettings
from training.distillation.teachers import find_teachers, require_fit
from training.distillation.trainer import DistillingTrainer, Lesson
from training.distillation.unlabelled import Unlabelled, read_unlabelled
from training.encoders import EncoderSource, find_encoder
from training.encoding import EncodedDataset, encode
from training.failures import InvalidSettings
from training.headlines import headline
from training.heads import Classifier, HeadSettings, SequenceClassifier
from training.model_making import Tokenization, make_model
from training.preparation import Prepared
from training.progress import listener
from training.run import DistillationRecord, RunDirectory, TeacherRecord
from training.settings import FineTuneSettings
from training.tasks import Judgement, task_of


class Distiller:
    """Knows the teachers of one student: a `training.supervision.Supervision`."""

    def __init__(self, settings: FineTuneSettings, how: DistillationSettings) -> None:
        """Opens the teachers. Raises InvalidSettings where they do not go with the settings or with each other."""
        self._how = how
        self._task = task_of(settings.task)
        self._imitation = imitation_of(settings.task)
        self._teachers = find_teachers(how, settings.task)
        first = self._teachers[0]
        self._layers = [] if how.layers is None else chosen_layers(how.layers, first.layers)
        self.settings = self._of_teacher(settings) if self._layers else settings
        """Those of the student: one that is made of a teacher's layers has its encoder, pooling and vocabulary."""
        self.source = self._source()
        """Where the student's encoder and tokenizer come from."""
        self._unlabelled = Unlabelled()
        self._logits: list[dict[str, Logits]] = []

    def read(self, prepared: Prepared, console: Console) -> None:
        """Checks the teachers against the data, and reads texts without labels.

        Raises UnusableData for a teacher of other labels or one that knows rows of validation or test, and UnreadableData.
        """
        for teacher in self._teachers:
            require_fit(teacher, prepared)
        if self._how.unlabelled:
            with listener(console) as progress:
                self._unlabelled = read_unlabelled(self._how.unlabelled, self.settings.data, prepared, progress)
            self._tell(console)

    def ask(self, dataset: Dataset, run: RunDirectory, console: Console) -> None:
        """Has every text answered by every teacher; keeps the answers and the texts without labels in the run."""
        if self._how.unlabelled:
            run.write_split("unlabelled", self._unlabelled.examples)
        parts = {
            "train": [*dataset.train, *self._unlabelled.examples],
            Split.VALIDATION.value: dataset.validation,
            Split.TEST.value: dataset.test,
        }
        with listener(console) as progress:
            for number, teacher in enumerate(self._teachers, start=1):
                self._logits.append(teacher.answers(parts, run.trainer / f"teacher-{number}", progress))

    def student(self, tokenization: Tokenization, labels: list[str]) -> Classifier:
        """Layers of the first teacher with a copy of its head, or the encoder of `model` with a new one."""
        if not self._layers:
            return make_model(self.source, tokenization, labels, self.settings)
        teacher = SequenceClassifier.load(self._teachers[0].run.checkpoint)
        head = HeadSettings(labels=labels, pooling=teacher.settings.pooling, dropout=self.settings.dropout)
        student = SequenceClassifier(shortened(teacher.encoder, self._layers), head)
        student.classifier.load_state_dict(teacher.classifier.state_dict())
        return student

    def training_rows(self, labelled: EncodedDataset, tokenization: Tokenization, max_length: int) -> EncodedDataset:
        """The labelled rows, then those without a label, each with the teachers' mean answer."""
        rows = list(labelled.rows)
        if texts := self._unlabelled.examples:
            nothing = np.zeros_like(rows[0].target)
            encoded = encode(texts, tokenization.tokenizer, [nothing] * len(texts), max_length)
            rows += [replace(row, labelled=False) for row in encoded.rows]
        answers = self._imitation.answers([each["train"] for each in self._logits], self._how.temperature)
        return EncodedDataset([replace(row, answer=answer) for row, answer in zip(rows, answers, strict=True)])

    def loop(self) -> Callable[..., DistillingTrainer]:
        """Makes the training loop, whose loss takes such rows."""
        teacher = self._teachers[0].model() if self._how.weight_of_hidden else None
        return partial(DistillingTrainer, lesson=Lesson(self._how, self._imitation, teacher, self._layers))

    def record(self, dataset: Dataset, judgement: Judgement) -> DistillationRecord:
        """The teachers' scores on the student's rows beside the student's own."""
        scores = [self._scores(each, dataset) for each in self._logits]
        together = scores[0] if len(scores) == 1 else self._scores(self._together(), dataset)
        metric = headline(self.settings.task)[0]
        return DistillationRecord(
            teachers=[
                TeacherRecord(
                    name=teacher.record.name, fingerprint=teacher.fingerprint, layers=teacher.layers, metrics=metrics
                )
                for teacher, metrics in zip(self._teachers, scores, strict=True)
            ],
            together=together,
            layers=self._layers or None,
            unlabelled=len(self._unlabelled.examples),
            left_out=self._unlabelled.left_out,
            kept=judgement.metrics["test"][metric] / max(together[metric], 1e-12),
        )

    def _source(self) -> EncoderSource:
        if not self._layers:
            return find_encoder(self.settings.model)
        first = self._teachers[0]
        return EncoderSource(self.settings.model, str(first.run.checkpoint), first.record.pooling)

    def _of_teacher(self, settings: FineTuneSettings) -> FineTuneSettings:
        record = self._teachers[0].record
        if "model" in settings.model_fields_set and settings.model != record.encoder:
            raise InvalidSettings(
                f"layers: the student is made of the teacher {record.name}, whose encoder is {record.encoder}, not "
                f"{settings.model}; leave out --layers or --model"
            )
        if settings.pooling not in {None, record.pooling}:
            raise InvalidSettings(
                f"pooling: the teacher {record.name} has {record.pooling}, and so has a student made of its layers"
            )
        inherited = {"model": record.encoder, "pooling": record.pooling, "extend_vocabulary": "off"}
        return settings.model_copy(update=inherited)

    def _together(self) -> dict[str, Logits]:
        splits = (Split.VALIDATION.value, Split.TEST.value)
        return {
            split: self._imitation.together(self._imitation.answers([each[split] for each in self._logits], 1.0))
            for split in splits
        }

    def _scores(self, logits: Mapping[str, Logits], dataset: Dataset) -> dict[str, float]:
        """As the student's own: temperature and thresholds from the validation rows, metrics of the test rows."""
        judged = {split: logits[split.value] for split in (Split.VALIDATION, Split.TEST)}
        return self._task.measured(judged, dataset).metrics["test"]

    def _tell(self, console: Console) -> None:
        left_out = ", ".join(f"{count:,} {reason}" for reason, count in self._unlabelled.left_out.items())
        console.print(f"{len(self._unlabelled.examples):,} texts without labels; left out: {left_out}")
