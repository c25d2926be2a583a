"""What all trials of a worker share, made once: rows, tokenizer, token ids, and the settings that the data decide."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from transformers import AutoConfig

from training.data_summary import summarise
from training.dataset import Dataset
from training.encoders import EncoderSource, Pooling, find_encoder
from training.encoding import EncodedDataset, encode, token_counter
from training.fine_tuning import fitting_length
from training.model_making import (
    Tokenization,
    chosen_pooling,
    load_tokenizer,
    make_tokenizer,
    position_limit,
    possible_poolings,
)
from training.preparation import prepare
from training.progress import listener
from training.schedule import epochs_and_rate
from training.search.space import with_parameters
from training.settings import FineTuneSettings
from training.tasks import task_of
from training.training_loop import Encoded


@dataclass(frozen=True, slots=True)
class Material:
    """`settings` are those of `fit` with nothing left open. `encoded.test` is empty: a search does not look at the test."""

    settings: FineTuneSettings
    source: EncoderSource
    dataset: Dataset
    tokenization: Tokenization
    encoded: Encoded
    poolings: tuple[Pooling, ...]
    """Those that the encoder can have."""


def prepare_material(settings: FineTuneSettings, folder: Path, console: Console) -> Material:
    """Reads, cleans, splits and tokenizes as `fit` does. `folder` receives the tokenizer; each worker needs its own.

    Raises UnreadableData, UnusableData or InvalidSettings, each naming what is wrong and what to do.
    """
    source = find_encoder(settings.model)
    with listener(console) as progress:
        prepared = prepare(settings.data, token_counter(load_tokenizer(source.location)), progress)
    summarise(prepared.report, console)
    dataset = prepared.dataset
    tokenization = make_tokenizer(source, dataset, settings, folder)
    encoder = AutoConfig.from_pretrained(source.location)
    length = fitting_length(settings, dataset, tokenization, position_limit(encoder))
    task = task_of(settings.task)
    train, validation = (
        encode(rows, tokenization.tokenizer, task.truth(rows, dataset.labels), length)
        for rows in (dataset.train, dataset.validation)
    )
    epochs, rate = epochs_and_rate(settings, encoder.hidden_size, dataset)
    pooling = chosen_pooling(settings.pooling, source, encoder)
    chosen = {"epochs": epochs, "learning_rate": rate, "pooling": pooling}
    return Material(
        with_parameters(settings, chosen),
        source,
        dataset,
        tokenization,
        Encoded(train, validation, EncodedDataset([])),
        possible_poolings(encoder),
    )
