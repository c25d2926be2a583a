"""The training step as a whole: from settings to a complete run directory."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from rich.console import Console
from transformers import set_seed

from training.attempts import discard_other_attempt
from training.augmentation.augmenting import with_copies
from training.augmentation.kinds import require_models
from training.contrastive import train_contrastively
from training.data_parallel import ALONE, Ranks
from training.data_settings import DataSettings
from training.data_summary import summarise, write_report
from training.dataset import Dataset, Split
from training.distillation.distiller import Distiller
from training.distillation.trainer import DistillingTrainer
from training.encoders import EncoderSource, find_encoder
from training.encoding import chosen_max_length, encode, token_counter
from training.heads import Classifier, SequenceClassifier
from training.model_making import Tokenization, load_tokenizer, make_model, make_tokenizer, position_limit
from training.outputs import require_finite
from training.preparation import Prepared, prepare
from training.progress import listener
from training.run import RunDirectory, RunRecord
from training.run_completion import Facts, complete, save_checkpoint
from training.scope.detector import ScopeDetector
from training.scope.judging import Rows, judge_scope
from training.scope.preparation import encoded_outside, prepared_outside
from training.settings import FineTuneSettings
from training.tagging.words import dataset_with_words
from training.tasks import task_of
from training.tasks.files import add_to_metrics
from training.trainer import (
    ClassifierTrainer,
    predict_logits,
)
from training.training_loop import Encoded, train


def fine_tune(
    settings: FineTuneSettings, run: RunDirectory, step_fingerprint: str, console: Console, ranks: Ranks = ALONE
) -> RunRecord:
    """Trains, evaluates and calibrates; writes everything into `run`. Resumes when an earlier attempt was cut off."""
    begun = time.monotonic()
    require_models(settings.augmentation)
    distiller = None if settings.distillation is None else Distiller(settings, settings.distillation, run)
    settings = settings if distiller is None else distiller.settings
    if ranks.first:
        discard_other_attempt(run, step_fingerprint)
    ranks.wait()
    set_seed(settings.seed)
    source = find_encoder(settings.model) if distiller is None else distiller.source()
    prepared = prepared_rows(settings.data, source, run, console)
    outside = prepared_outside(settings, prepared, run, console)
    prepared, copied = with_copies(prepared, settings, source, run, console, ranks)
    dataset, task = prepared.dataset, task_of(settings.task)
    if distiller is not None:
        with ranks.first_before_others():  # they read what it wrote
            distiller.ask(prepared, console)
    tokenization = fitting_tokenizer(source, dataset, settings, run, console)
    set_seed(settings.seed)
    model = (
        make_model(source, tokenization, dataset.labels, settings)
        if distiller is None
        else distiller.student(tokenization, dataset.labels)
    )
    max_length = fitting_length(settings, dataset, tokenization, position_limit(model.config))
    dataset = dataset_with_words(dataset, tokenization.folder, max_length)
    rows, validation, test = (
        encode(part, tokenization.tokenizer, task.truth(part, dataset.labels), max_length)
        for part in dataset.parts.values()
    )
    train_rows = rows
    loop: Callable[..., ClassifierTrainer] = ClassifierTrainer
    if distiller is not None:
        rows = distiller.training_rows(rows, tokenization, max_length)
        loop = partial(DistillingTrainer, lesson=distiller.lesson())
    known = None if outside is None else encoded_outside(outside, tokenization, max_length)
    encoded = Encoded(rows, validation, test, known)
    before: dict[str, object] = {}
    if settings.contrastive_epochs:
        assert isinstance(model, SequenceClassifier)
        before = train_contrastively(settings, dataset, rows, model, tokenization.pad_token_id, run, console)
    config, effort = train(settings, task, dataset, encoded, model, tokenization, run, console, ranks=ranks, loop=loop)
    logits = {
        Split.VALIDATION: predict_logits(model, encoded.validation, tokenization.pad_token_id),
        Split.TEST: predict_logits(model, encoded.test, tokenization.pad_token_id),
    }
    require_finite(logits.values())
    run.evaluation.mkdir(parents=True, exist_ok=True)
    judgement = task.measured(logits, dataset).written(run.evaluation)
    model.shift(judgement.shift)
    detector, scope = None, None
    if settings.out_of_scope is not None:
        assert isinstance(model, SequenceClassifier)
        inside = Rows(train_rows, validation, test)
        detector, scope = judge_scope(model, inside, encoded.outside, settings.out_of_scope, tokenization.pad_token_id)
        add_to_metrics(run.evaluation, {"out_of_scope": scope.model_dump()})
    save_checkpoint(partial(_save, model, detector), tokenization, run)
    taught = None if distiller is None else distiller.record(dataset, judgement)
    facts = Facts(
        max_length,
        model.settings.pooling,
        prepared.pair,
        step_fingerprint,
        time.monotonic() - begun,
        taught,
        scope,
        copied,
    )
    return complete(run, settings, dataset, judgement, effort, {**before, **config}, facts, ranks)


def prepared_rows(settings: DataSettings, source: EncoderSource, run: RunDirectory, console: Console) -> Prepared:
    """Reads, cleans and splits; leaves the rows and the report in the run."""
    with listener(console) as progress:
        prepared = prepare(settings, token_counter(load_tokenizer(source.location)), progress)
    write_report(prepared.report, run.data)
    summarise(prepared.report, console)
    for split, rows in prepared.dataset.parts.items():
        run.write_split(split, rows)
    return prepared


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
