"""The vocabulary of a run trimmed before anything is exported, and the proof that its texts are read as before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from export.failures import ExportFailure
from export.rows import encoded, tokenize
from export.structure.vocabulary import Trimming, require_same, trim, write_trimmed
from training.dataset import Example, Split
from training.heads import Classifier
from training.run import Part, RunDirectory, RunRecord
from training.tagging.words import with_words
from training.trainer import predict_logits

SEEN: tuple[Part, ...] = (Split.TRAIN, "augmented", "unlabelled", Split.VALIDATION)
CLOSE = 1e-5
"""What logits may differ by, where equal numbers are added in the same order."""


def trim_run(run: RunDirectory, record: RunRecord, model: Classifier, target: Path, pad: int) -> Trimming:
    """Writes the trimmed tokenizer to `target` and takes rows of embeddings from the model, in place.

    Raises ExportFailure if a validation row does not have the same tokens and logits as before.
    """
    source = run.checkpoint / "tokenizer.json"
    rows = list(run.examples(Split.VALIDATION))
    trimming = write_trimmed(source, target, model.encoder.get_input_embeddings().num_embeddings, list(_texts(run)))
    before, after = (
        tokenize(with_words(rows, path, record.max_length), path, record.max_length) for path in (source, target)
    )
    require_same(before, after, trimming)
    expected = predict_logits(model, encoded(before), pad)
    trim(model, trimming)
    difference = float(np.abs(predict_logits(model, encoded(after), pad) - expected).max())
    if not difference <= CLOSE:
        raise ExportFailure(f"--trim-vocabulary would move a logit by {difference:.2g}: export without it")
    return trimming


def _texts(run: RunDirectory) -> Iterator[str]:
    """All that says which scripts occur."""
    for part in SEEN:
        yield from _of(run.examples(part))
    for split in (Split.TRAIN, Split.VALIDATION):
        if (run.data / f"out_of_scope_{split}.jsonl").is_file():
            yield from _of(run.examples(split, outside=True))


def _of(examples: Iterator[Example]) -> Iterator[str]:
    for example in examples:
        yield example.text
        if example.text_pair is not None:
            yield example.text_pair
