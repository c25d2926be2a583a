"""What the bundle of a trained sentence encoder is made from and proven on: the rows of its run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from export.comparison import UnitScores
from export.encoder_bundling import About, EncoderExporter, Material, Test
from export.encoder_model import Encoder
from export.encoder_proof import Vectors
from export.settings import ExportSettings
from training.dataset import Example, Split
from training.embedding.evaluation import by_unit, scores_of, truth_of
from training.embedding.relations import singles
from training.headlines import headline
from training.intervals import Positions
from training.progress import Steps
from training.run import RunDirectory, RunRecord
from training.sentence_encoder import SentenceEncoder


def run_encoder_exporter(
    run: RunDirectory, record: RunRecord, settings: ExportSettings, work: Path, progress: Steps
) -> EncoderExporter:
    """Variants are compared on the validation rows; training rows fix the activation scales."""
    encoder = Encoder(SentenceEncoder.load(run.checkpoint), run.checkpoint / "tokenizer.json", record.max_length)
    validation, test = (_Texts(list(run.examples(split)), record.labels) for split in (Split.VALIDATION, Split.TEST))
    train = _distinct(list(run.examples(Split.TRAIN)))
    some = np.random.default_rng(settings.seed).permutation(len(train))[: settings.calibration_rows]
    scores = record.metrics["test"]
    metric, _ = headline(record.task, scores)

    def quality(vectors: Vectors) -> UnitScores:
        count, scores_at = validation.by_unit(vectors)
        return UnitScores(count, lambda at: scores_at(at)[metric])

    material = Material(
        encoder.rows(validation.distinct),
        encoder.rows([train[i] for i in some.tolist()]),
        quality,
        Test(encoder.rows(test.distinct), test.scores),
    )
    about = About(record.name, record.encoder, record.data_fingerprint, scores)
    return EncoderExporter(encoder, material, about, settings, work, progress)


def _distinct(examples: Sequence[Example]) -> list[str]:
    return list(dict.fromkeys(each.text for each in singles(examples)))


class _Texts:
    """The texts of a split, each once, and the scores of their vectors."""

    def __init__(self, examples: Sequence[Example], labels: Sequence[str]) -> None:
        self.distinct = _distinct(examples)
        places = {text: place for place, text in enumerate(self.distinct)}
        self._places = [places[each.text] for each in singles(examples)]
        self._truth = truth_of(examples, labels)

    def scores(self, vectors: Vectors) -> dict[str, float]:
        """Of vectors [distinct texts, width]."""
        return scores_of(vectors[self._places], self._truth)

    def by_unit(self, vectors: Vectors) -> tuple[int, Callable[[Positions], dict[str, float]]]:
        """How many queries or rows there are, and the scores of any choice of them."""
        return by_unit(vectors[self._places], self._truth)
