"""The export step as a whole: from a complete run to a proven, published bundle."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.assembly import GOLDEN_ROWS, assemble
from export.bundle import Bundle
from export.comparisons import comparison_of
from export.encoder_run import run_encoder_exporter
from export.graph import export_graph
from export.manifest import Manifest
from export.measurement import Runner
from export.model_card import model_card
from export.quantization import Recipe
from export.registry import Registry
from export.rows import Row, feed, tokenize
from export.run_manifest import has_prediction_sets, run_manifest
from export.scope_proof import ScopeReference
from export.settings import ExportSettings
from export.terms import terms_of
from export.tuning.at_export import Traffic
from export.variants import Candidate, Workshop, described, refused
from export.verification import Reference, awkward_shapes, reference_shapes, verify
from training.calibration import softmax
from training.conformal import conformal_thresholds
from training.dataset import Example, Split
from training.encoding import EncodedDataset, EncodedExample
from training.headlines import headline
from training.heads import SequenceClassifier, load_model
from training.progress import Steps
from training.run import RunDirectory, RunRecord
from training.scope.evidence import figures
from training.scope.fitting import Seen, scores
from training.scope.model import ScopedClassifier, seen
from training.tagging.words import with_words


class Exporter:
    """Makes and proves the variants of one run in a working folder."""

    def __init__(
        self, run: RunDirectory, record: RunRecord, settings: ExportSettings, work: Path, progress: Steps
    ) -> None:
        self._run = run
        self._record = record
        self._settings = settings
        self._work = work
        self._progress = progress
        self._tokenizer = run.checkpoint / "tokenizer.json"
        self._model = load_model(run.checkpoint)
        self._scoped = self._with_detector()
        self._pad = int(self._model.config.pad_token_id or 0)
        self._comparison = comparison_of(record)
        self._reference, self._test, self._test_right = self._references()
        self._test_outside = self._outside(Split.TEST)

    def candidates(self) -> list[Candidate]:
        """float32, the first quantized recipe that passes with all that failed before it, and what is asked for for GPUs."""
        self._progress("exporting the graph", 0, 1)
        raw = export_graph(self._model, self._work / "raw.onnx", self._scoped)
        self._progress("exporting the graph", 1, 1)
        workshop = Workshop(raw, self._model.config, self._pad, self._work, self._progress)
        found = workshop.measured(self.measure, self._calibration() if self._settings.quantize else [])
        return found + workshop.for_gpus(self.measure, self._settings.half, self._settings.tensorrt)

    def _calibration(self) -> list[Row]:
        examples = list(self._run.examples(Split.TRAIN))
        order = np.random.default_rng(self._settings.seed).permutation(len(examples))
        return self._tokens(self._with_words([examples[i] for i in order[: self._settings.calibration_rows]]))

    def _references(self) -> tuple[Reference, list[Row], Any]:
        examples = self._examples(Split.VALIDATION)
        rows = self._tokens(examples)
        known = None if self._scoped is None else self._seen(rows)
        logits = self._logits(rows) if known is None else known.logits
        shapes = awkward_shapes(rows, self._record.max_length, self._pad, self._model.config.vocab_size)
        test = self._examples(Split.TEST)
        compared = self._comparison
        right = compared.right(examples)
        reference = Reference(
            rows,
            compared,
            right,
            terms_of(self._record.task),
            headline(self._record.task)[1],
            logits,
            compared.score(logits, right),
            reference_shapes(self._scoped or self._model, shapes),
            self._scope_reference(known),
        )
        return reference, self._tokens(test), compared.right(test)

    def _with_detector(self) -> ScopedClassifier | None:
        if self._record.out_of_scope is None:
            return None
        assert isinstance(self._model, SequenceClassifier)
        return ScopedClassifier.load(self._run.checkpoint, self._model)

    def _scope_reference(self, inside: Seen | None) -> ScopeReference | None:
        if self._scoped is None or self._record.out_of_scope is None or inside is None:
            return None
        rows = self._outside(Split.VALIDATION)
        outside = scores(self._scoped.scope, self._seen(rows)) if rows else np.empty(0, np.float32)
        return ScopeReference(self._record.out_of_scope.acceptance, scores(self._scoped.scope, inside), rows, outside)

    def _outside(self, split: Split) -> list[Row]:
        """Texts out of scope of a split; none where none were known."""
        scope = self._record.out_of_scope
        return self._tokens(list(self._run.examples(split, outside=True))) if scope is not None and scope.rows else []

    def _seen(self, rows: list[Row]) -> Seen:
        assert isinstance(self._model, SequenceClassifier)
        return seen(self._model, encoded(rows), self._pad)

    def _logits(self, rows: list[Row]) -> NDArray[np.float32]:
        from training.trainer import predict_logits

        return predict_logits(self._model, encoded(rows), self._pad)

    def measure(self, recipe: Recipe, path: Path) -> Candidate:
        """Proves and times one variant; it may fail the gate."""
        reference = self._reference
        task = f"verifying {recipe.name}"
        self._progress(task, 0, 4)
        runner = Runner(path, self._pad)
        proven = verify(
            runner, reference, recipe.precision, self._settings.gate, lambda done: self._progress(task, done, 4)
        )
        if not proven.parity.passed:
            self._progress(task, 4, 4)
            return refused(recipe, path, proven.parity)
        metrics = self._measured(runner, proven.threshold)
        self._progress(task, 3, 4)
        golden = [runner.run(feed([row], runner.names, self._pad)) for row in reference.rows[:GOLDEN_ROWS]]
        speed = runner.texts_per_second(reference.rows) if recipe.device in {"any", "cpu"} else None
        self._progress(task, 4, 4)
        variant = described(recipe, path, proven.parity, speed, proven.threshold, self._set_thresholds(proven.logits))
        return Candidate(variant, path, golden, metrics)

    def _measured(self, runner: Runner, threshold: float | None) -> dict[str, float]:
        """Figures of a variant on the test split."""
        test, right = self._test, self._test_right
        outputs = runner.logits(test, sorted(range(len(test)), key=lambda i: len(test[i].ids)), 8)
        logits = outputs[:, : self._reference.logits.shape[1]]
        metrics = {headline(self._record.task)[0]: self._comparison.score(logits, right)}
        if threshold is not None:
            rows = self._test_outside
            outside = runner.logits(rows, range(len(rows)), 8)[:, -1] if rows else None
            metrics |= figures(outputs[:, -1], logits.argmax(axis=1) == right, outside, threshold)
        return metrics

    def _set_thresholds(self, logits: NDArray[np.float32]) -> list[float] | None:
        if not has_prediction_sets(self._record):
            return None
        right = self._reference.right.astype(np.int64)
        return conformal_thresholds(softmax(logits / self._record.temperature), right)

    def bundle(self, candidates: list[Candidate], fingerprint: str) -> Path:
        """Assembles a bundle folder of the variants that passed, fastest first. Raises ParityNotProven if none did."""
        record, rows = self._record, self._reference.rows

        def describe(passed: Sequence[Candidate], common: dict[str, Any]) -> Manifest:
            return run_manifest(record, passed, len(rows), self._pad, fingerprint, common)

        return assemble(
            record.name,
            candidates,
            self._tokenizer,
            rows[:GOLDEN_ROWS],
            describe,
            lambda manifest: model_card(manifest, self._run, record),
            Traffic(rows, self._pad, self._settings.tune_seconds, self._progress),
            self._work / "bundle",
        )

    def _examples(self, split: Split) -> list[Example]:
        return self._with_words(list(self._run.examples(split)))

    def _with_words(self, examples: list[Example]) -> list[Example]:
        return with_words(examples, self._tokenizer, self._record.max_length)

    def _tokens(self, examples: list[Example]) -> list[Row]:
        return tokenize(examples, self._tokenizer, self._record.max_length)


def export_run(
    run: RunDirectory,
    record: RunRecord,
    registry: Registry,
    settings: ExportSettings,
    fingerprint: str,
    progress: Steps,
) -> tuple[Bundle, list[Candidate]]:
    """Exports, proves and publishes a complete run."""
    with tempfile.TemporaryDirectory(prefix="bertline-export-") as work:
        make = run_encoder_exporter if record.task == "embedding" else Exporter
        exporter = make(run, record, settings, Path(work), progress)
        candidates = exporter.candidates()
        return registry.publish(exporter.bundle(candidates, fingerprint)), candidates


def encoded(rows: list[Row]) -> EncodedDataset:
    """The rows as training has them, without what is right of them."""
    return EncodedDataset([EncodedExample(row.ids, row.types, 0, reads=row.reads) for row in rows])
