"""The networks that may answer in a run's place, made one after another, and the variants of each."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from export.failures import ExportFailure
from export.graph import export_graph
from export.quantization import Recipe
from export.rows import Row, encoded
from export.settings import ExportSettings
from export.structure.catalogue import structures_of
from export.structure.material import Material
from export.structure.network import Network, network_of, promising
from export.structure.pruning import pruned, require_prunable
from export.structure.students import students_of
from export.structure.vocabulary import Trimming, trim
from export.variants import Candidate, Workshop
from export.verification import Reference
from training.dataset import Example, Split
from training.heads import Classifier, SequenceClassifier, load_model
from training.progress import Steps
from training.run import RunDirectory, RunRecord
from training.scope.model import ScopedClassifier
from training.trainer import predict_logits

MeasureNetwork = Callable[[Recipe, Path, Network], Candidate]


@dataclass(frozen=True, slots=True)
class Full:
    """The run's own network, and what it says."""

    run: RunDirectory
    record: RunRecord
    model: Classifier
    scoped: ScopedClassifier | None
    pad: int
    reference: Reference
    trimming: Trimming | None
    tokens: Callable[[list[Example]], tuple[list[Example], list[Row]]]
    """Examples that know their words, where words are labelled, and their tokens."""


class Structures:
    """What `settings` asks for, checked against the run before anything is spent. Raises ExportFailure where it does not fit."""

    def __init__(self, run: RunDirectory, record: RunRecord, settings: ExportSettings) -> None:
        self._settings = settings
        self._structures = structures_of(settings.structures)
        if self._structures:
            require_prunable(run, record)
        self._students = students_of(settings.candidate_runs, run, record)

    def candidates(
        self, full: Full, measure: MeasureNetwork, calibration: Sequence[Row], work: Path, progress: Steps
    ) -> list[Candidate]:
        """Of each network float32 and, if that is promising, what is quantized and what is asked for for GPUs."""
        found = []
        for network in self._networks(full, progress):
            folder = work / network.name
            folder.mkdir()
            raw = export_graph(network.model, folder / "raw.onnx", network.scoped)
            workshop = Workshop(raw, network.model.config, full.pad, folder, progress)
            measured = _named(measure, network)
            hopeful = promising(network, full.reference, full.record, self._settings.gate)
            found += workshop.measured(measured, calibration if hopeful else [])
            if hopeful:
                found += workshop.for_gpus(measured, self._settings.half, self._settings.tensorrt)
        return found

    def _networks(self, full: Full, progress: Steps) -> Iterator[Network]:
        material = self._material(full) if self._structures else None
        for structure in self._structures:
            assert material is not None
            task = f"making {structure.name}"
            progress(task, 0, 1)
            small = pruned(full.model, structure, material)
            scoped = None
            if full.scoped is not None and isinstance(small, SequenceClassifier):
                scoped = ScopedClassifier(small, full.scoped.scope).eval()
            progress(task, 1, 1)
            yield self._network(structure.name, structure.describe(), small, scoped, full, full.record.temperature)
        for student in self._students:
            model = load_model(student.run.checkpoint)
            scoped = None
            if full.scoped is not None and isinstance(model, SequenceClassifier):
                scoped = ScopedClassifier.load(student.run.checkpoint, model)
            if full.trimming is not None:
                trim(model, full.trimming)
            yield self._network(student.name, student.lacks(), model, scoped, full, student.record.temperature)

    @staticmethod
    def _network(
        name: str,
        lacks: dict[str, str | int | float],
        model: Classifier,
        scoped: ScopedClassifier | None,
        full: Full,
        temperature: float,
    ) -> Network:
        logits = predict_logits(model, encoded(full.reference.rows), full.pad)
        return network_of(name, lacks, model, scoped, logits, full.record, full.reference, temperature)

    def _material(self, full: Full) -> Material:
        train = list(full.run.examples(Split.TRAIN))
        order = np.random.default_rng(self._settings.seed).permutation(len(train))[: self._settings.structure_rows]
        examples, rows = full.tokens([train[position] for position in order])
        record = full.record
        return Material.of(record.task, record.labels, examples, rows, full.pad, record.scale)


def require_whole(settings: ExportSettings) -> None:
    """For models of vectors, which have no smaller networks (yet). Raises ExportFailure where some are asked for."""
    if settings.structures or settings.candidate_runs or settings.trim_vocabulary:
        raise ExportFailure(
            "--structures, --candidate-run and --trim-vocabulary are for models with labels or numbers, not for embedding: "
            "a vector of another network cannot stand beside those of the first"
        )


def _named(measure: MeasureNetwork, network: Network) -> Callable[[Recipe, Path], Candidate]:
    def measured(recipe: Recipe, path: Path) -> Candidate:
        # files of a bundle lie side by side
        named = path.with_name(f"{network.name}-{recipe.name}.onnx")
        shutil.copy(path, named)
        return measure(recipe, named, network)

    return measured
