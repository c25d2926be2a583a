"""The training step of sentence encoders: from settings to a complete run directory."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial

import torch
from rich.console import Console
from transformers import set_seed

from training.attempts import replacing, require_own_folder
from training.dataset import Dataset, Example, Split
from training.embedding.batches import TOGETHER, LabelBatches
from training.embedding.evaluation import truth_of
from training.embedding.mining import given_negatives, hard_negatives, mined_once
from training.embedding.relations import relation_of, singles
from training.embedding.rows import EncodedRows
from training.embedding.trainer import EncoderTrainer
from training.encoders import find_encoder
from training.encoding import EncodedDataset, encode
from training.failures import InvalidSettings, UnusableData
from training.fine_tuning import fitting_length, fitting_tokenizer, keep_rows, read_rows
from training.model_making import Tokenization, make_sentence_encoder, position_limit
from training.outputs import require_finite
from training.reuse import inputs_of
from training.run import RunDirectory, RunRecord
from training.run_completion import Facts, complete, save_checkpoint
from training.sentence_encoder import SentenceEncoder
from training.settings import FineTuneSettings
from training.tasks.embedding import Embedding
from training.trainer import predict_logits
from training.training_loop import Encoded, train

LEAST = 4
"""Held-out rows of a split; among fewer candidates the right one is found by chance."""


def fit_encoder(settings: FineTuneSettings, run: RunDirectory, step_fingerprint: str, console: Console) -> RunRecord:
    """Trains and evaluates; writes everything into `run`. Resumes when an earlier attempt was cut off.

    Raises UnreadableData, UnusableData or InvalidSettings, each naming what is wrong and what to do; an earlier run is left as
    it was.
    """
    begun = time.monotonic()
    require_own_folder(run, inputs_of(settings))
    set_seed(settings.seed)
    source = find_encoder(settings.model)
    prepared = read_rows(settings.data, source, console)
    dataset = prepared.dataset
    _require_enough(dataset, settings)
    with replacing(run, step_fingerprint):
        keep_rows(prepared, run)
        tokenization = fitting_tokenizer(source, dataset, settings, run, console)
        set_seed(settings.seed)
        model = make_sentence_encoder(source, tokenization, settings)
        model.to("cuda" if torch.cuda.is_available() else "cpu")
        texts = replace(dataset, train=singles(dataset.train))
        max_length = fitting_length(settings, texts, tokenization, position_limit(model.config))
        held_out = {
            split: _texts(rows, tokenization, max_length)
            for split, rows in ((Split.VALIDATION, dataset.validation), (Split.TEST, dataset.test))
        }
        before = predict_logits(model, held_out[Split.TEST], tokenization.pad_token_id)
        rows = _training_rows(settings, dataset, model, tokenization, max_length, run, console)
        encoded = Encoded(rows, held_out[Split.VALIDATION], held_out[Split.TEST])
        task = Embedding()
        set_seed(settings.seed)
        config, effort = train(settings, task, dataset, encoded, model, tokenization, run, console, loop=EncoderTrainer)
        vectors = {split: predict_logits(model, each, tokenization.pad_token_id) for split, each in held_out.items()}
        require_finite(vectors.values())
        run.evaluation.mkdir(parents=True, exist_ok=True)
        judgement = task.compared(vectors, before, dataset, run.evaluation)
        save_checkpoint(partial(model.save, max_length=max_length), tokenization, run)
        # the loss follows from the relation, so that the recorded settings train the same again
        config |= {"data": {**settings.data.model_dump(), "relation": relation_of(dataset.train)}, "loss": None}
        facts = Facts(max_length, model.pooling, False, step_fingerprint, time.monotonic() - begun)
        return complete(run, settings, dataset, judgement, effort, config, facts)


def _texts(rows: list[Example], tokenization: Tokenization, max_length: int) -> EncodedDataset:
    texts = singles(rows)
    return encode(texts, tokenization.tokenizer, [0] * len(texts), max_length)


def _training_rows(
    settings: FineTuneSettings,
    dataset: Dataset,
    model: SentenceEncoder,
    tokenization: Tokenization,
    max_length: int,
    run: RunDirectory,
    console: Console,
) -> EncodedRows:
    examples = dataset.train
    negatives = given_negatives(examples)
    if settings.hard_negatives:

        def mine() -> list[list[str]]:
            vectors = predict_logits(model, _texts(examples, tokenization, max_length), tokenization.pad_token_id)
            return hard_negatives(examples, vectors, settings.hard_negatives)

        mined = mined_once(run.trainer / "negatives.json", dataset.fingerprint, mine)
        console.print(f"{sum(map(len, mined)):,} hard negatives found for {len(examples):,} pairs")
        negatives = [
            [*one, *(text for text in more if text not in one)] for one, more in zip(negatives, mined, strict=True)
        ]
    truth = truth_of(examples, dataset.labels)
    targets = [0] * len(examples) if truth.ndim == 2 else truth.tolist()
    return EncodedRows(examples, negatives, targets, tokenization.tokenizer, max_length)


def _require_enough(dataset: Dataset, settings: FineTuneSettings) -> None:
    path = settings.data.path
    for split, rows in ((Split.VALIDATION, dataset.validation), (Split.TEST, dataset.test)):
        if len(rows) < LEAST:
            raise UnusableData(
                f"{path}: the {split} split has {len(rows)} rows, too few to judge by; give {LEAST} or more"
            )
    relation = relation_of(dataset.train)
    if settings.hard_negatives and relation != "pair":
        raise UnusableData(
            f"{path}: hard negatives are for pairs of texts that belong together; leave --hard-negatives away"
        )
    if relation == "label" and settings.batch_size < 2 * TOGETHER:
        raise InvalidSettings(
            f"batch_size {settings.batch_size}: texts of one label are told from those of others, two of each; give "
            f"{2 * TOGETHER} or more"
        )
    if relation == "label" and not LabelBatches([each.label for each in dataset.train], 2, 0).groups:
        raise UnusableData(f"{path}: no label has two training rows, so no two texts belong together; add rows")
