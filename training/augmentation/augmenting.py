"""Augmentation as a whole: the data set with copies among its training rows."""

from __future__ import annotations

from dataclasses import replace

from rich.console import Console

from training.augmentation.copies import keep_copies, kept_copies, make_copies
from training.augmentation.kinds import changes
from training.augmentation.settings import AugmentationSettings
from training.data_settings import DataSettings
from training.encoders import EncoderSource
from training.preparation import Prepared
from training.progress import listener
from training.run import AugmentationRecord, RunDirectory

KEPT, UNDONE = "copies.json", "copies"


def with_copies(
    prepared: Prepared,
    settings: AugmentationSettings,
    data: DataSettings,
    seed: int,
    source: EncoderSource,
    run: RunDirectory,
    console: Console,
) -> tuple[Prepared, AugmentationRecord]:
    """The rows with the copies behind the training rows; validation, test and fingerprint stay.

    The copies are made once: a run that was cut off finds those of its first attempt beside its checkpoints, be they all or some,
    and they stay in data/augmented.jsonl. Raises InvalidSettings where a model that makes them cannot be had.
    """
    dataset = prepared.dataset
    path = run.trainer / KEPT
    copies = kept_copies(path, dataset)
    if copies is None:
        with listener(console) as progress:
            made = changes(settings, source)
            copies = make_copies(dataset, settings, made, data.group_threshold, seed, progress, run.trainer / UNDONE)
        keep_copies(path, copies)
    rows, record = copies.rows(dataset.train), copies.record(dataset.train)
    run.write_split("augmented", rows)
    _tell(record, len(dataset.train), console)
    return replace(prepared, dataset=replace(dataset, train=[*dataset.train, *rows])), record


def _tell(record: AugmentationRecord, rows: int, console: Console) -> None:
    kinds = ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in record.kinds.items()) or "none"
    left_out = ", ".join(f"{count:,} {reason}" for reason, count in record.left_out.items())
    console.print(f"{record.copies:,} copies of {rows:,} training rows ({kinds}); left out: {left_out}")
