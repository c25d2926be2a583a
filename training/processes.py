"""The processes that torchrun started, known before they have joined, and what they cannot do together. Needs no torch."""

from __future__ import annotations

import os

from training.failures import InvalidSettings
from training.settings import RANKING_LOSSES, FineTuneSettings


def process_count() -> int:
    """How many train together; 1, unless torchrun started this one."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Whether this process is alone, or the first of them."""
    return os.environ.get("RANK", "0") == "0"


def require_shareable(settings: FineTuneSettings, processes: int) -> None:
    """Raises InvalidSettings where the processes could not share every batch alike, or a loss needs to see the whole of it."""
    if processes == 1:
        return
    if settings.batch_size % processes:
        raise InvalidSettings(
            f"batch_size {settings.batch_size} cannot be shared by {processes} processes: give a multiple"
        )
    wants_whole = {
        "the task embedding: texts are told from": settings.task == "embedding",
        "contrastive_epochs: texts are told from": bool(settings.contrastive_epochs),
        f"loss {settings.loss} compares rows of": settings.loss in RANKING_LOSSES,
    }
    for what, wanted in wants_whole.items():
        if wanted:
            raise InvalidSettings(f"{what} the whole batch, which several processes would share out: use one")
