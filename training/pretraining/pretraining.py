"""The pretraining step as a whole: from texts to a folder that `fit` takes as its model."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback, TrainerState, set_seed

from training.attempts import discard_other_attempt, last_checkpoint, require_own_folder
from training.data_parallel import Ranks
from training.encoders import EncoderSource, find_encoder
from training.failures import InvalidSettings, UnusableData
from training.model_making import load_tokenizer, position_limit
from training.packages import library_versions
from training.pretraining.batches import Batches, Masking
from training.pretraining.budget import Budget
from training.pretraining.corpus import Corpus, read_corpus
from training.pretraining.held_out import HeldOut, HeldOutClock, curve
from training.pretraining.language_model import FINE_TUNING_DROPOUT, MaskedOnly, checkpoint_model, new_model
from training.pretraining.pieces import Pieces, SpecialTokens, cut, special_tokens
from training.pretraining.record import EncoderDirectory, PretrainingRecord, Quality
from training.pretraining.settings import NEW_MODEL, PretrainingSettings
from training.pretraining.trainer import ENDLESS, BudgetClock, MaskedTrainer, pretraining_arguments
from training.pretraining.wordpiece import train_tokenizer
from training.progress import Steps, listener
from training.trainer import CheckpointClock, chosen_precision

EPOCHS_FROM_CHECKPOINT, EPOCHS_FROM_SCRATCH = 3.0, 20.0
WIDE, RATE_OF_WIDE, RATE_OF_NARROW = 384, 5e-5, 1e-4
NARROW, RATE_FROM_SCRATCH = 256, 1e-3
WARMUP = 0.06
"""Of the whole, as in RoBERTa (Liu et al. 2019)."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """What is trained, as it is before: a checkpoint, or a new model with a new tokenizer."""

    tokenizer: PreTrainedTokenizerBase
    special: SpecialTokens
    model: PreTrainedModel


@dataclass(frozen=True, slots=True)
class Material:
    """Everything that training needs, before a weight has moved."""

    corpus: Corpus
    tokenizer: PreTrainedTokenizerBase
    model: PreTrainedModel
    max_length: int
    training: Pieces
    masking: Masking
    held_out: Pieces


@dataclass(frozen=True, slots=True)
class Trained:
    """What the loop did. `seconds` by the budget's clock, over all attempts."""

    before: Quality
    after: Quality
    state: TrainerState
    epochs: float
    seconds: float
    config: dict[str, object]


def pretrain(
    settings: PretrainingSettings, run: EncoderDirectory, step_fingerprint: str, console: Console
) -> PretrainingRecord:
    """Trains and measures; writes everything into `run`. Resumes when an earlier attempt was cut off.

    Raises UnreadableData, UnusableData or InvalidSettings; a checkpoint or texts that cannot be read leave an earlier run as it
    was.
    """
    begun = time.monotonic()
    source = None if settings.model is None else find_encoder(settings.model)
    if settings.model is not None and Path(settings.model).resolve() == run.root.resolve():
        raise InvalidSettings(f"{run.root} is the model to go on from, and would be overwritten: choose another name")
    require_own_folder(run)
    beginning = None if source is None else _checkpoint(settings, source)
    with listener(console) as progress:
        corpus = read_corpus(settings, progress)
        discard_other_attempt(run, step_fingerprint)
        material = _material(settings, beginning or _scratch(settings, corpus, run), corpus, progress)
        trained = _train(settings, material, run, begun, progress, console)
    model = material.model
    if source is None:
        model.config.hidden_dropout_prob = model.config.attention_probs_dropout_prob = FINE_TUNING_DROPOUT
    _save(model, material.tokenizer, run)
    pieces = material.training
    chosen = settings.model_dump(mode="json", exclude=set() if source is None else set(NEW_MODEL))
    record = PretrainingRecord(
        name=settings.name,
        model=settings.model,
        pooling="mean" if source is None or source.pooling == "mean" else "cls",
        vocabulary=len(material.tokenizer),
        weights=model.num_parameters(),
        max_length=material.max_length,
        texts_read=material.corpus.read,
        encodings=material.corpus.encodings,
        texts=len(material.corpus.training),
        held_out_texts=len(material.corpus.held_out),
        tokens=len(pieces.ids),
        unknown_share=float((pieces.ids == material.tokenizer.unk_token_id).mean()),
        before=trained.before,
        after=trained.after,
        curve=curve(trained.state),
        updates=trained.state.global_step,
        epochs=trained.epochs,
        training_s=trained.seconds,
        tokens_per_s=trained.epochs * int(pieces.lengths.sum()) / max(trained.seconds, 1e-9),
        data_fingerprint=material.corpus.fingerprint,
        step_fingerprint=step_fingerprint,
        config={**chosen, **trained.config},
        versions=library_versions(),
        seconds=time.monotonic() - begun,
        create_time=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    run.write_record(record)
    for path in (*run.trainer.glob("checkpoint-*"), run.tokenizer):
        shutil.rmtree(path, ignore_errors=True)
    return record


def _checkpoint(settings: PretrainingSettings, source: EncoderSource) -> Beginning:
    """Raises InvalidSettings."""
    tokenizer = load_tokenizer(source.location)
    special = special_tokens(tokenizer, source.name)
    set_seed(settings.seed)  # of a head, where it has none
    return Beginning(tokenizer, special, checkpoint_model(source.location))


def _scratch(settings: PretrainingSettings, corpus: Corpus, run: EncoderDirectory) -> Beginning:
    tokenizer = _new_tokenizer(settings, corpus, run)
    set_seed(settings.seed)
    return Beginning(tokenizer, special_tokens(tokenizer, settings.name), new_model(settings, tokenizer))


def _material(settings: PretrainingSettings, beginning: Beginning, corpus: Corpus, progress: Steps) -> Material:
    tokenizer, model = beginning.tokenizer, beginning.model
    max_length = min(settings.max_length, position_limit(model.config))
    training, held_out = (cut(texts, tokenizer, max_length, progress) for texts in (corpus.training, corpus.held_out))
    if not len(training.ids) or not len(held_out.ids):
        raise UnusableData(
            f"{', '.join(settings.paths)}: the tokenizer of {settings.model!r} finds no token in the texts"
        )
    masking = Masking(settings.masked_share, beginning.special, settings.seed)
    return Material(corpus, tokenizer, model, max_length, training, masking, held_out)


def _new_tokenizer(settings: PretrainingSettings, corpus: Corpus, run: EncoderDirectory) -> PreTrainedTokenizerBase:
    """Trained once: an attempt that goes on needs the very same."""
    if not (run.tokenizer / "tokenizer.json").is_file():
        aside = run.trainer / "tokenizer.partial"
        shutil.rmtree(aside, ignore_errors=True)
        tokenizer = train_tokenizer(corpus.training, settings.vocabulary, settings.lowercase, settings.max_length)
        tokenizer.save_pretrained(aside)
        aside.replace(run.tokenizer)
    return load_tokenizer(str(run.tokenizer))


def _train(
    settings: PretrainingSettings,
    material: Material,
    run: EncoderDirectory,
    begun: float,
    progress: Steps,
    console: Console,
) -> Trained:
    """Trains `material.model` in place."""
    model, only = material.model, MaskedOnly(material.model)
    precision = chosen_precision(settings.mixed_precision)
    rate = settings.learning_rate or chosen_rate(model.config.hidden_size, settings.model is None)
    passes = Batches(material.training, settings.batch_tokens, material.masking, 1).in_first_pass
    steps, config = _updates(settings, passes)
    args = pretraining_arguments(settings, run.trainer, steps, rate, precision)
    held_out = HeldOut(Batches(material.held_out, settings.batch_tokens, material.masking, ENDLESS), only)
    model.to(args.device)
    measuring = time.monotonic()
    before = held_out.measure(model)
    console.print(f"held-out loss {before.loss:.3f} before training", highlight=False)
    seconds = None
    if settings.minutes is not None:
        # the measurement at the end takes as long as this one, and is part of the minutes
        seconds = max(1.0, 60 * settings.minutes - (time.monotonic() - begun) - (time.monotonic() - measuring))
    budget = Budget(WARMUP, steps, seconds)
    count = (steps or ENDLESS) * settings.gradient_accumulation
    batches = Batches(material.training, settings.batch_tokens, material.masking, count)
    trainer = MaskedTrainer(
        model=model,
        args=args,
        train_dataset=batches,
        callbacks=[BudgetClock(budget, progress), CheckpointClock(settings.checkpoint_every_s, Ranks())],
        only=only,
        budget=budget,
    )
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(HeldOutClock(held_out, budget, trainer.log))
    _resume(trainer.train, run, console)
    updates = trainer.state.global_step
    return Trained(
        before,
        held_out.measure(model),
        trainer.state,
        updates * settings.gradient_accumulation / passes,
        budget.spent_s,
        {**config, "learning_rate": rate, "mixed_precision": precision, "budget_s": budget.seconds},
    )


def _updates(settings: PretrainingSettings, batches: int) -> tuple[int | None, dict[str, object]]:
    """Updates of the whole run, None when the clock decides; and what was chosen. `batches`: in one pass."""
    if settings.minutes is not None or settings.steps is not None:
        return settings.steps, {}
    epochs = settings.epochs or (EPOCHS_FROM_SCRATCH if settings.model is None else EPOCHS_FROM_CHECKPOINT)
    return max(1, round(epochs * batches / settings.gradient_accumulation)), {"epochs": epochs}


def chosen_rate(width: int, scratch: bool) -> float:
    """Peak learning rate of a model of this width."""
    if scratch:
        return RATE_FROM_SCRATCH * min(1.0, NARROW / width)
    return RATE_OF_WIDE if width > WIDE else RATE_OF_NARROW


def _resume(train: Callable[..., object], run: EncoderDirectory, console: Console) -> None:
    checkpoint = last_checkpoint(run)
    if checkpoint is not None:
        console.print(f"resuming from {checkpoint.name} of an earlier attempt that was cut off")
    train(resume_from_checkpoint=str(checkpoint) if checkpoint is not None else None)


def _save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, run: EncoderDirectory) -> None:
    """Aside first; `fit` takes a folder with a config.json, so that one comes last."""
    aside = run.trainer / "encoder.partial"
    shutil.rmtree(aside, ignore_errors=True)
    model.save_pretrained(aside)
    tokenizer.save_pretrained(aside)
    for path in sorted(aside.iterdir(), key=lambda path: path.name == "config.json"):
        path.replace(run.root / path.name)
    aside.rmdir()
