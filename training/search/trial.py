"""One trial: the fine-tuning of `fit`, with each epoch's validation score reported and hopeless trials stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from transformers import set_seed

from training.attempts import discard_other_attempt, remove
from training.fingerprint import combined
from training.model_making import make_model
from training.run import RunDirectory
from training.search.material import Material
from training.search.space import with_parameters
from training.tasks import task_of
from training.training_loop import train

QUIET = Console(quiet=True, force_terminal=False)

Report = Callable[[int, float], bool]
"""Told (epoch, score) after each epoch; False: stop, the rest is not worth its time or is another worker's."""


@dataclass(frozen=True, slots=True)
class TrialOutcome:
    """`scores` are validation accuracies in [0, 1] by epoch. `stopped` says that `report` ended the trial early."""

    scores: dict[int, float]
    stopped: bool


class OutOfMemory(Exception):
    """The settings of the trial need more memory than there is; others may not."""


def run_trial(material: Material, parameters: dict[str, Any], folder: Path, report: Report) -> TrialOutcome:
    """Trains with the parameters in place of the settings' own; leaves no files when it ends by itself.

    A trial that was killed goes on from its last checkpoint in `folder`, provided that data and settings are the same.
    With the same settings `fit` ends with the same weights, since both run the same steps from the same seeds.

    Raises:
        OutOfMemory: On a GPU or on the processor.
    """
    settings = with_parameters(material.settings, parameters)
    run = RunDirectory(folder)
    discard_other_attempt(run, combined(material.dataset.fingerprint, settings.model_dump_json()))
    told: dict[int, float] = {}
    stopped = False

    def after_epoch(scores: dict[int, float]) -> bool:
        nonlocal stopped
        for epoch in sorted(scores.keys() - told.keys()):
            told[epoch] = scores[epoch]
            stopped = not report(epoch, scores[epoch])
        return stopped

    try:
        set_seed(settings.seed)
        model = make_model(material.source, material.tokenization, material.dataset.labels, settings)
        train(
            settings,
            task_of(settings.task),
            material.dataset,
            material.encoded,
            model,
            material.tokenization,
            run,
            QUIET,
            after_epoch,
        )
    except (torch.OutOfMemoryError, MemoryError) as error:
        remove(run)
        raise OutOfMemory(str(error).partition("\n")[0] or "out of memory") from None
    remove(run)
    return TrialOutcome(told, stopped)
