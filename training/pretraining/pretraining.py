"""The pretraining step as a whole: from texts to a folder that `fit` takes as its model."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.console import Console
from torch.utils.data import Subset
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback, TrainerState

from training.attempts import replacing, require_own_folder
from training.data_parallel import Ranks
from training.encoders import EncoderSource, find_encoder
from training.masked_positions import MaskedOnly
from training.packages import library_versions
from training.pretraining.budget import Budget
from training.pretraining.corpus import read_corpus
from training.pretraining.held_out import HeldOut, HeldOutClock, curve
from training.pretraining.language_model import FINE_TUNING_DROPOUT
from training.pretraining.material import Material, from_checkpoint, from_scratch, prepared
from training.pretraining.record import EncoderDirectory, PretrainingRecord, Quality
from training.pretraining.settings import NEW_MODEL, PretrainingSettings
from training.pretraining.trainer import ENDLESS, BudgetClock, MaskedTrainer, pretraining_arguments
from training.progress import Steps, listener
from training.resuming import train_on
from training.trainer import CheckpointClock, chosen_precision

EPOCHS_FROM_CHECKPOINT, EPOCHS_FROM_SCRATCH = 3.0, 20.0
WIDE, RATE_OF_WIDE, RATE_OF_NARROW = 384, 5e-5, 1e-4
NARROW, RATE_FROM_SCRATCH = 256, 1e-3
WARMUP = 0.06
"""Of the whole, as in RoBERTa (Liu et al. 2019)."""


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

    Raises UnreadableData, UnusableData or InvalidSettings, which leave an earlier encoder as it was.
    """
    begun = time.monotonic()
    source = None if settings.model is None else find_encoder(settings.model)
    require_own_folder(run, [*settings.paths, *([] if settings.model is None else [settings.model])])
    beginning = None if source is None else from_checkpoint(settings, source)
    with listener(console) as progress:
        corpus = read_corpus(settings, progress)
    with replacing(run, step_fingerprint):
        with listener(console) as progress:
            material = prepared(settings, beginning or from_scratch(settings, corpus, run), corpus, progress)
            trained = _train(settings, material, run, begun, progress, console)
        if source is None:
            config = material.model.config
            config.hidden_dropout_prob = config.attention_probs_dropout_prob = FINE_TUNING_DROPOUT
        _save(material.model, material.tokenizer, run)
        record = _record(settings, source, material, trained, step_fingerprint, begun)
        run.write_record(record)
        for path in (*run.trainer.glob("checkpoint-*"), run.tokenizer):
            shutil.rmtree(path, ignore_errors=True)
        return record


def _record(
    settings: PretrainingSettings,
    source: EncoderSource | None,
    material: Material,
    trained: Trained,
    step_fingerprint: str,
    begun: float,
) -> PretrainingRecord:
    corpus, pieces = material.corpus, material.pieces
    config = settings.model_dump(mode="json", exclude=set() if source is None else set(NEW_MODEL))
    return PretrainingRecord(
        name=settings.name,
        model=settings.model,
        pooling="mean" if source is None else source.pooling,
        vocabulary=len(material.tokenizer),
        weights=material.model.num_parameters(),
        max_length=material.max_length,
        texts_read=corpus.read,
        encodings=corpus.encodings,
        texts=len(corpus.training),
        held_out_texts=len(corpus.held_out),
        tokens=len(pieces.ids),
        unknown_share=float((pieces.ids == material.tokenizer.unk_token_id).mean()),
        before=trained.before,
        after=trained.after,
        curve=curve(trained.state),
        updates=trained.state.global_step,
        epochs=trained.epochs,
        training_s=trained.seconds,
        tokens_per_s=trained.epochs * int(pieces.lengths.sum()) / max(trained.seconds, 1e-9),
        data_fingerprint=corpus.fingerprint,
        step_fingerprint=step_fingerprint,
        config={**config, **trained.config},
        versions=library_versions(),
        seconds=time.monotonic() - begun,
        create_time=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _train(
    settings: PretrainingSettings,
    material: Material,
    run: EncoderDirectory,
    begun: float,
    progress: Steps,
    console: Console,
) -> Trained:
    """Trains `material.model` in place."""
    model, only, passes = material.model, MaskedOnly(material.model), material.training.in_first_pass
    precision = chosen_precision(settings.mixed_precision)
    rate = settings.learning_rate or chosen_rate(model.config.hidden_size, settings.model is None)
    steps, config = _updates(settings, passes)
    args = pretraining_arguments(settings, run.trainer, steps, rate, precision)
    held_out = HeldOut(material.held_out, only)
    model.to(args.device)
    measuring = time.monotonic()
    before = held_out.measure(model)
    console.print(f"held-out loss {before.loss:.3f} before training", highlight=False)
    budget = Budget(WARMUP, steps, _seconds(settings, begun, measuring))
    # no more than the budget: a run that resumes at its very end finds no batch left
    batches = Subset(material.training, range((steps or ENDLESS) * settings.gradient_accumulation))
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
    train_on(trainer, run, console)
    epochs = trainer.state.global_step * settings.gradient_accumulation / passes
    config |= {"learning_rate": rate, "mixed_precision": precision, "budget_s": budget.seconds}
    return Trained(before, held_out.measure(model), trainer.state, epochs, budget.spent_s, config)


def _seconds(settings: PretrainingSettings, begun: float, measuring: float) -> float | None:
    """What given minutes leave for training: the measurement at the end takes as long as the one that began at `measuring`."""
    if settings.minutes is None:
        return None
    now = time.monotonic()
    return max(1.0, 60 * settings.minutes - (now - begun) - (now - measuring))


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


def _save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, run: EncoderDirectory) -> None:
    """Aside first; `fit` takes a folder with a config.json, so that one comes last."""
    aside = run.trainer / "encoder.partial"
    shutil.rmtree(aside, ignore_errors=True)
    model.save_pretrained(aside)
    tokenizer.save_pretrained(aside)
    for path in sorted(aside.iterdir(), key=lambda path: path.name == "config.json"):
        path.replace(run.root / path.name)
    aside.rmdir()
