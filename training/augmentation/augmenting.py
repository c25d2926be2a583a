"""Augmentation as a whole: the data set with copies among its training rows."""

from __future__ import annotations

from dataclasses import replace

from rich.console import Console

from training.augmentation.copies import Copies, keep_copies, kept_copies, make_copies
from training.augmentation.kinds import changes
from training.augmentation.settings import AugmentationSettings
from training.data_parallel import Ranks
from training.dataset import Dataset
from training.encoders import EncoderSource
from training.preparation import Prepared
from training.progress import listener
from training.run import AugmentationRecord, RunDirectory
from training.settings import FineTuneSettings

KEPT, UNDONE = "copies.json", "copies"


def with_copies(
    prepared: Prepared,
    settings: FineTuneSettings,
    source: EncoderSource,
    run: RunDirectory,
    console: Console,
    ranks: Ranks,
) -> tuple[Prepared, AugmentationRecord | None]:
    """The rows with the copies that the settings ask for behind the training rows; validation, test and fingerprint stay.

    The copies are made once: a run that was cut off finds those of its first attempt beside its checkpoints, be they all or some,
    and they stay in data/augmented.jsonl. Raises InvalidSettings where a model that makes them cannot be had.
    """
    if settings.augmentation is None:
        return prepared, None
    dataset = prepared.dataset
    with ranks.first_before_others():  # they read what it wrote
        copies = _made_once(dataset, settings, settings.augmentation, source, run, console)
        rows, record = copies.rows(dataset.train), copies.record(dataset.train)
        run.write_split("augmented", rows)
    _tell(record, len(dataset.train), console)
    return replace(prepared, dataset=replace(dataset, train=[*dataset.train, *rows])), record


def _made_once(
    dataset: Dataset,
    settings: FineTuneSettings,
    how: AugmentationSettings,
    source: EncoderSource,
    run: RunDirectory,
    console: Console,
) -> Copies:
    path, alike = run.trainer / KEPT, settings.data.group_threshold
    copies = kept_copies(path, dataset)
    if copies is None:
        with listener(console) as progress:
            made = changes(how, source)
            copies = make_copies(dataset, how, made, alike, settings.seed, progress, run.trainer / UNDONE)
        keep_copies(path, copies)
    return copies


def _tell(record: AugmentationRecord, rows: int, console: Console) -> None:
    kinds = ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in record.kinds.items()) or "none"
    left_out = ", ".join(f"{count:,} {reason}" for reason, count in record.left_out.items())
    console.print(f"{record.copies:,} copies of {rows:,} training rows ({kinds}); left out: {left_out}")
