"""Training that ends in mid-epoch as if its process had been killed, inside the test's process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from training.trainer import CheckpointClock

LOST_STEPS = 2


class CutOff(Exception):
    """Stands for the end of the process."""


@contextmanager
def cut_off_after(step: int) -> Iterator[None]:
    """Training in this block keeps a checkpoint of that step only, and is cut off some steps later.

    Steps are counted over all stages of the training.
    """
    steps = 0

    def on_step_end(self: Any, args: Any, state: Any, control: Any, **_: Any) -> None:
        nonlocal steps
        steps += 1
        if steps >= step + LOST_STEPS:
            raise CutOff
        control.should_save = steps == step

    with pytest.MonkeyPatch.context() as patched, pytest.raises(CutOff):
        patched.setattr(CheckpointClock, "on_step_end", on_step_end)
        yield
