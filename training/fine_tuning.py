"""The training step as a whole: from settings to a complete run directory."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console
from transformers import set_seed

from training.attempts import replacing, require_own_folder
from training.augmentation.augmenting import with_copies
from training.augmentation.kinds import require_models
from training.contrastive import train_contrastively
from training.data_parallel import ALONE, Ranks
from training.data_settings import DataSettings
from training.data_summary import summarise, write_report
from training.dataset import Dataset, Split
from training.encoders import EncoderSource
from training.encoding import EncodedDataset, chosen_max_length, encode, token_counter
from training.heads import Classifier, SequenceClassifier
from training.model_making import Tokenization, load_tokenizer, make_tokenizer, position_limit
from training.outputs import Logits, require_finite
from training.preparation import Prepared, prepare
from training.progress import listener
from training.reuse import inputs_of
from training.run import Effort, RunDirectory, RunRecord
from training.run_completion import Facts, complete, save_checkpoint
from training.scope.detector import ScopeDetector
from training.scope.judging import Rows, judge_scope
from training.scope.model import seen
from training.scope.preparation import encoded_outside, read_outside
from training.scope.record import ScopeRecord
from training.scope.texts import OutsideTexts
from training.settings import FineTuneSettings
from training.supervision import Supervision, supervision_of
from training.tagging.words import dataset_with_words
from training.tasks import Judgement, task_of
from training.tasks.files import add_to_metrics
from training.trainer import predict_logits
from training.training_loop import Encoded, train


@dataclass(frozen=True, slots=True)
class Material:
    """Everything that training needs, before a weight has moved."""

    dataset: Dataset
    """Where words are labelled, with the words of each text."""
    tokenization: Tokenization
    max_length: int
    labelled: EncodedDataset
    """The training rows that have a label."""
    encoded: Encoded
    model: Classifier


@dataclass(frozen=True, slots=True)
class Judged:
    """How good the trained model is. The two of texts out of scope are None where every text gets a label."""

    judgement: Judgement
    detector: ScopeDetector | None
    scope: ScopeRecord | None


def fine_tune(
    settings: FineTuneSettings, run: RunDirectory, step_fingerprint: str, console: Console, ranks: Ranks = ALONE
) -> RunRecord:
    """Trains, evaluates and calibrates; writes everything into `run`. Resumes when an earlier attempt was cut off.

    Raises UnreadableData, UnusableData or InvalidSettings, which leave an earlier run as it was.
    """
    begun = time.monotonic()
    require_own_folder(run, inputs_of(settings))
    require_models(settings.augmentation)
    supervision = supervision_of(settings)
    settings, source = supervision.settings, supervision.source
    set_seed(settings.seed)
    prepared = read_rows(settings.data, source, console)
    outside = read_outside(settings, prepared, console)
    supervision.read(prepared, console)
    # not before all that is read was found good
    with replacing(run, step_fingerprint, ranks.first):
        ranks.wait()
        keep_rows(prepared, run, outside)
        prepared, copied = with_copies(prepared, settings, source, run, console, ranks)
        with ranks.first_before_others():  # they read what it wrote
            supervision.ask(prepared.dataset, run, console)
        material = _material(supervision, prepared.dataset, outside, run, console)
        config, effort = _trained(supervision, material, run, console, ranks)
        judged = _judged(settings, material, run)
        model, judgement = material.model, judged.judgement
        save_checkpoint(partial(_save, model, judged.detector), material.tokenization, run)
        facts = Facts(
            material.max_length,
            model.settings.pooling,
            prepared.pair,
            step_fingerprint,
            time.monotonic() - begun,
            supervision.record(material.dataset, judgement),
            judged.scope,
            copied,
        )
        return complete(run, settings, material.dataset, judgement, effort, config, facts, ranks)


def _material(
    supervision: Supervision, dataset: Dataset, outside: OutsideTexts | None, run: RunDirectory, console: Console
) -> Material:
    settings = supervision.settings
    tokenization = fitting_tokenizer(supervision.source, dataset, settings, run, console)
    set_seed(settings.seed)
    model = supervision.student(tokenization, dataset.labels)
    max_length = fitting_length(settings, dataset, tokenization, position_limit(model.config))
    dataset, task = dataset_with_words(dataset, tokenization.folder, max_length), task_of(settings.task)
    labelled, validation, test = (
        encode(part, tokenization.tokenizer, task.truth(part, dataset.labels), max_length)
        for part in dataset.parts.values()
    )
    rows = supervision.training_rows(labelled, tokenization, max_length)
    known = None if outside is None else encoded_outside(outside, tokenization, max_length)
    return Material(dataset, tokenization, max_length, labelled, Encoded(rows, validation, test, known), model)


def _trained(
    supervision: Supervision, material: Material, run: RunDirectory, console: Console, ranks: Ranks
) -> tuple[dict[str, object], Effort]:
    """Trains `material.model` in place; returns the settings that the data decided, too."""
    settings, dataset, model = supervision.settings, material.dataset, material.model
    encoded, tokenization = material.encoded, material.tokenization
    before: dict[str, object] = {}
    if settings.contrastive_epochs:
        assert isinstance(model, SequenceClassifier)
        padding = tokenization.pad_token_id
        before = train_contrastively(settings, dataset, material.labelled, model, padding, run, console)
    task, loop = task_of(settings.task), supervision.loop()
    config, effort = train(settings, task, dataset, encoded, model, tokenization, run, console, ranks=ranks, loop=loop)
    return {**before, **config}, effort


def _judged(settings: FineTuneSettings, material: Material, run: RunDirectory) -> Judged:
    """Measures the trained model and writes metrics, plots and predictions. Raises InvalidSettings where it diverged."""
    model, encoded, padding = material.model, material.encoded, material.tokenization.pad_token_id
    held_out = {Split.VALIDATION: encoded.validation, Split.TEST: encoded.test}
    if settings.out_of_scope is None:
        logits = {split: predict_logits(model, rows, padding) for split, rows in held_out.items()}
        return Judged(_judgement(settings, material, logits, run), None, None)
    assert isinstance(model, SequenceClassifier)
    found = {split: seen(model, rows, padding) for split, rows in held_out.items()}
    judgement = _judgement(settings, material, {split: each.logits for split, each in found.items()}, run)
    inside = Rows(material.labelled, encoded.validation, encoded.test)
    detector, scope = judge_scope(model, inside, found, encoded.outside, settings.out_of_scope, padding)
    add_to_metrics(run.evaluation, {"out_of_scope": scope.model_dump()})
    return Judged(judgement, detector, scope)


def _judgement(
    settings: FineTuneSettings, material: Material, logits: Mapping[Split, Logits], run: RunDirectory
) -> Judgement:
    """How good the answers are; what is to be added to them is in the model from now on."""
    require_finite(logits.values())
    run.evaluation.mkdir(parents=True, exist_ok=True)
    judgement = task_of(settings.task).measured(logits, material.dataset).written(run.evaluation)
    material.model.shift(judgement.shift)
    return judgement


def read_rows(settings: DataSettings, source: EncoderSource, console: Console) -> Prepared:
    """Reads, cleans and splits, and tells what was found."""
    with listener(console) as progress:
        prepared = prepare(settings, token_counter(load_tokenizer(source.location)), progress)
    summarise(prepared.report, console)
    return prepared


def keep_rows(prepared: Prepared, run: RunDirectory, outside: OutsideTexts | None = None) -> None:
    """Leaves the report, the rows, and the texts out of scope in the run."""
    write_report(prepared.report, run.data)
    for split, rows in prepared.dataset.parts.items():
        run.write_split(split, rows)
        if outside is not None:
            run.write_split(split, outside.of(split), outside=True)


def fitting_tokenizer(
    source: EncoderSource, dataset: Dataset, settings: FineTuneSettings, run: RunDirectory, console: Console
) -> Tokenization:
    """The tokenizer of the run, and a word about what it gained."""
    tokenization = make_tokenizer(source, dataset, settings, run.root / "tokenizer")
    if tokenization.added:
        console.print(f"vocabulary extended by {tokenization.added:,} characters that {settings.model} does not know")
    return tokenization


def fitting_length(settings: FineTuneSettings, dataset: Dataset, tokenization: Tokenization, limit: int) -> int:
    """Tokens a text is cut to: as the settings say, or what the training rows need; never above the encoder's `limit`."""
    if settings.max_length is not None:
        return min(settings.max_length, limit)
    lengths = encode(dataset.train, tokenization.tokenizer, [0] * len(dataset.train), limit).lengths
    return chosen_max_length(lengths, limit)


def _save(model: Classifier, detector: ScopeDetector | None, folder: Path) -> None:
    model.save(folder)
    if detector is not None:
        detector.save(folder)
