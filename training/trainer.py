"""The training loop: transformers' Trainer with what it lacks.

The task's loss, a faster head, an order of rows that survives a resume, the best epoch kept, checkpoints by the clock.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader, Sampler
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from training.atomic_files import replace_file
from training.data_parallel import Ranks
from training.encoding import EncodedDataset, EncodedExample, LengthGroupedOrder, collator, sorted_batches
from training.optimization import parameter_groups
from training.outputs import arranged
from training.sampling import EpochRows
from training.settings import FineTuneSettings

EVALUATION_BATCH = 64

AfterEpoch = Callable[[dict[int, float]], bool]
"""Hears epoch -> validation score after each epoch; True stops the training."""


def go_on(scores: dict[int, float]) -> bool:
    """An `AfterEpoch` that never stops."""
    return False


class ClassifierTrainer(Trainer):  # type: ignore[misc]  # transformers has no types here
    """Trains a `training.heads.Classifier` whose batches carry `labels`, what is right of their rows."""

    def __init__(
        self,
        *,
        loss: nn.Module,
        drawn: EpochRows,
        settings: FineTuneSettings,
        batches: Sampler[list[int]] | None = None,
        penalty: Callable[[], Tensor] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._drawn = drawn
        self._batches = batches
        self.optimizer: torch.optim.Optimizer | None
        self._loss = loss
        self._penalty = penalty
        self._settings = settings

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The loss of the batch, and what the method adds to it."""
        loss = self._loss_of(model, inputs)
        if self._penalty is not None:
            loss = loss + self._penalty()
        return (loss, {}) if return_outputs else loss

    def _loss_of(self, model: nn.Module, inputs: dict[str, Any]) -> Tensor:
        """The task's loss of the batch, in float32 also under mixed precision."""
        logits = model(**{name: value for name, value in inputs.items() if name != "labels"})
        loss: Tensor = self._loss.to(logits.device)(logits.float(), inputs["labels"])
        return loss

    def _get_train_sampler(self, train_dataset: EncodedDataset | None = None) -> LengthGroupedOrder:
        dataset = train_dataset or self.train_dataset
        return LengthGroupedOrder(dataset.lengths, self._settings.batch_size, self.args.seed, self._drawn)

    def get_train_dataloader(self) -> DataLoader[EncodedExample]:
        """Composed where the loss compares rows of a batch, such as the candidates of a query."""
        if self._batches is None:
            loader: DataLoader[EncodedExample] = super().get_train_dataloader()
            return loader
        whole = DataLoader(self.train_dataset, batch_sampler=self._batches, collate_fn=self.data_collator)
        prepared: DataLoader[EncodedExample] = self.accelerator.prepare(whole)
        return prepared

    def create_optimizer(self) -> torch.optim.Optimizer:
        """AdamW; the groups of `parameter_groups`."""
        if self.optimizer is None:
            groups = parameter_groups(self.model, self._settings, self.args.learning_rate)
            self.optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.999), eps=1e-8, fused=True)
        return self.optimizer


class BestEpoch(TrainerCallback):  # type: ignore[misc]  # as above
    """Evaluates after each epoch, keeps the best weights on disk, stops when patience is spent.

    Its state is two files, replaced together with a rename each, and a resumed run repeats at most the evaluation of
    the epoch it was in: the same weights give the same score, so the result is that of an uninterrupted run.
    `after_epoch` hears the scores of all epochs so far; training stops when it answers True. Of several processes the first
    writes, and decides when to stop.
    """

    def __init__(
        self,
        folder: Path,
        score: Callable[[nn.Module], float],
        patience: int,
        after_epoch: AfterEpoch,
        ranks: Ranks,
    ) -> None:
        self._ranks = ranks
        self._weights = folder / "best.safetensors"
        self._record = folder / "scores.json"
        self._score = score
        self._patience = patience
        self._after_epoch = after_epoch
        self.scores: dict[int, float] = {}
        self.scored_now = 0
        """Epochs that ended since this process began."""

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Forgets the scores of epochs that the checkpoint has not reached."""
        if self._record.is_file() and state.global_step > 0:
            stored = json.loads(self._record.read_text(encoding="utf-8"))
            self.scores = {
                int(epoch): value for epoch, value in stored.items() if int(epoch) <= (state.epoch or 0) + 1e-6
            }

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: nn.Module, **_: Any
    ) -> None:
        """Scores the epoch that just ended."""
        epoch = round(state.epoch or 0)
        score = self._score(model)
        self.scored_now += 1
        others = [value for number, value in self.scores.items() if number != epoch]
        self.scores[epoch] = score
        if self._ranks.first:
            self._write(model if not others or score > max(others) else None)
        enough = self._after_epoch(self.scores)
        # scores are each process's own, and on GPUs not the same to the last bit
        if self._ranks.as_the_first(enough or epoch - self.best_epoch >= self._patience):
            control.should_training_stop = True

    def _write(self, better: nn.Module | None) -> None:
        if better is not None:
            weights = {name: tensor.contiguous() for name, tensor in better.state_dict().items()}
            replace_file(self._weights, lambda aside: save_file(weights, aside))
        text = json.dumps(self.scores)
        replace_file(self._record, lambda aside: aside.write_text(text, encoding="utf-8"))

    @property
    def best_epoch(self) -> int:
        """The first epoch with the highest score."""
        return max(sorted(self.scores), key=lambda epoch: self.scores[epoch])

    def restore(self, model: nn.Module) -> None:
        """Loads the best weights into the model."""
        self._ranks.wait()
        model.load_state_dict(load_file(self._weights))


class CheckpointClock(TrainerCallback):  # type: ignore[misc]  # as above
    """Asks for a checkpoint every so many seconds, and for one at the end.

    Trainer saves after a step before it tells of the epoch's end, so that one at an epoch's last step would lack the epoch's
    score, which nothing would make up for after a kill. Such a one waits for the end of the epoch; `BestEpoch` stands before.
    """

    def __init__(self, every_s: float, ranks: Ranks) -> None:
        self._every_s = every_s
        self._ranks = ranks
        self._last = time.monotonic()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Due when the interval has passed, inside an epoch."""
        if float(state.epoch or 0).is_integer():
            control.should_save = False  # which Trainer itself sets at the last step of all
        elif self._due():
            control.should_save = True

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Due as above, and when all epochs are done. None where training stops before, since a resume would go on from it."""
        if state.global_step >= state.max_steps or (not control.should_training_stop and self._due()):
            control.should_save = True

    def _due(self) -> bool:
        due = self._ranks.as_the_first(time.monotonic() - self._last >= self._every_s)
        if due:
            self._last = time.monotonic()
        return due


class ProgressListener(TrainerCallback):  # type: ignore[misc]  # as above
    """Tells a progress display about every step and every score."""

    def __init__(self, show: Callable[[str, int, int, str], None], best: BestEpoch) -> None:
        self._show = show
        self._best = best
        self._loss = ""

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: Any = None, **_: Any
    ) -> None:
        """Remembers the latest loss."""
        if logs and "loss" in logs:
            self._loss = f"loss {logs['loss']:.3f}"

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Moves the bar."""
        scores = self._best.scores
        latest = f"validation {scores[max(scores)]:.3f}" if scores else ""
        epochs = round(args.num_train_epochs)
        epoch = f"epoch {min(epochs, int(state.epoch or 0) + 1)}/{epochs}"
        self._show(
            "fine-tuning", state.global_step, state.max_steps, "  ".join(filter(None, (epoch, self._loss, latest)))
        )


def predict_logits(model: nn.Module, dataset: EncodedDataset, pad_token_id: int) -> NDArray[np.float32]:
    """Logits float32 [rows, labels], or [words, labels], in the rows' order, on the model's device."""
    device = next(model.parameters()).device
    collate = collator(pad_token_id)
    model.eval()
    parts: list[tuple[list[int], NDArray[np.float32]]] = []
    with torch.inference_mode():
        for positions, rows in sorted_batches(dataset, EVALUATION_BATCH):
            batch = {name: value.to(device) for name, value in collate(rows).items() if name != "labels"}
            parts.append((positions, model(**batch).float().cpu().numpy()))
    return arranged(parts, [row.reads for row in dataset.rows])


def training_arguments(
    settings: FineTuneSettings, folder: Path, epochs: int, rate: float, precision: str, ranks: Ranks
) -> TrainingArguments:
    """Our settings in Trainer's words. Checkpoints come from `CheckpointClock`, evaluation from `BestEpoch`."""
    return loop_arguments(
        folder,
        settings.seed,
        precision,
        num_train_epochs=epochs,
        learning_rate=rate,
        per_device_train_batch_size=settings.batch_size // ranks.size,
        gradient_accumulation_steps=settings.gradient_accumulation,
        warmup_ratio=settings.warmup_ratio,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        lr_scheduler_type="linear",
        ddp_backend="gloo" if ranks.size > 1 and not torch.cuda.is_available() else None,
        ddp_find_unused_parameters=False,
    )


def loop_arguments(folder: Path, seed: int, precision: str, **more: Any) -> TrainingArguments:
    """What every training loop here has in common, and `more`."""
    arguments = TrainingArguments(
        output_dir=str(folder),
        seed=seed,
        data_seed=seed,
        bf16=precision == "bf16",
        fp16=precision == "fp16",
        use_cpu=not torch.cuda.is_available(),
        tf32=True if torch.cuda.is_available() and torch.cuda.get_device_capability() >= (8, 0) else None,
        save_strategy="steps",
        save_steps=1_000_000_000,
        save_total_limit=2,
        eval_strategy="no",
        logging_strategy="steps",
        logging_steps=10,
        logging_dir=str(folder / "tensorboard"),
        report_to=["tensorboard"],
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_num_workers=0,
        label_names=["labels"],
        **more,
    )
    # of several GPUs Trainer would give each a batch of this size: other training than on one; torchrun shares a batch out
    arguments._n_gpu = min(1, arguments.n_gpu)
    return arguments


def chosen_precision(wanted: str) -> str:
    """Resolves `auto`: bf16, or else fp16, on a GPU; none on a processor, where bf16 was measured slower than fp32."""
    if wanted != "auto":
        return wanted
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    return "no"
