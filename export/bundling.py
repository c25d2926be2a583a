"""The export step as a whole: from a complete run to a proven, published bundle."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.assembly import assemble
from export.awkward_shapes import awkward_shapes, checkpoint_output, checkpoint_outputs
from export.bundle import Bundle
from export.comparison import Comparison
from export.comparisons import comparison_of
from export.encoder_run import run_encoder_exporter
from export.golden_rows import golden_rows
from export.graph import export_graph
from export.hidden_tokens import HiddenTokens
from export.licences import licences_of
from export.manifest import Manifest
from export.measurement import Runner
from export.model_card import model_card
from export.proof import ParityProof
from export.recipes.kinds import Recipe
from export.registry import Registry
from export.rows import Row, encoded, feed, tokenize
from export.run_manifest import has_prediction_sets, run_manifest
from export.scope_proof import ScopeReference
from export.settings import ExportSettings
from export.signing import SigningKey
from export.structure.candidates import Full, Structures, require_whole
from export.structure.network import Network, as_variant, beside_the_full_one, own_gate
from export.structure.trimming import trim_run
from export.structure.vocabulary import Trimming
from export.terms import terms_of
from export.tuning.at_export import Traffic
from export.variants import Candidate, Workshop, described, refused
from export.verification import PASSES, Proven, Reference, verify
from training.calibration import softmax
from training.conformal import conformal_thresholds
from training.dataset import Example, Split
from training.headlines import headline
from training.heads import SequenceClassifier, load_model
from training.model_making import position_limit
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
        self._structures = Structures(run, record, settings)
        self._tokenizer = run.checkpoint / "tokenizer.json"
        self._model = load_model(run.checkpoint)
        self._pad = int(self._model.config.pad_token_id or 0)
        self._trimming = self._trimmed() if settings.trim_vocabulary else None
        self._scoped = self._with_detector()
        self._comparison = comparison_of(record)
        self._reference, self._test, self._test_right = self._references()
        self._golden_rows = golden_rows(self._reference.rows, self._tokenizer)
        self._test_outside = self._outside(Split.TEST)

    def candidates(self) -> list[Candidate]:
        """What `Workshop.measured` makes of the settings, and what is asked for for GPUs.

        Then the same of the networks that are asked for besides the run's own.
        """
        self._progress("exporting the graph", 0, 1)
        raw = export_graph(self._model, self._work / "raw.onnx", self._scoped)
        self._progress("exporting the graph", 1, 1)
        workshop = Workshop(raw, self._model.config, self._pad, self._work, self._progress)
        rows, wanted = self._calibration(), self._settings
        calibration = rows if wanted.quantize else []
        found = workshop.measured(self.measure, calibration, wanted.variants)
        found += workshop.for_gpus(self.measure, wanted.half, wanted.tensorrt, rows, wanted.variants)
        return found + self._structures.candidates(self._full(), self.measure, calibration, self._work, self._progress)

    def _full(self) -> Full:
        def tokens(examples: list[Example]) -> tuple[list[Example], list[Row]]:
            known = self._with_words(examples)
            return known, self._tokens(known)

        reference, trimming = self._reference, self._trimming
        return Full(self._run, self._record, self._model, self._scoped, self._pad, reference, trimming, tokens)

    def _trimmed(self) -> Trimming:
        self._tokenizer = self._work / "tokenizer.json"
        return trim_run(self._run, self._record, self._model, self._tokenizer, self._pad)

    def _calibration(self) -> list[Row]:
        examples = list(self._run.examples(Split.TRAIN))
        order = np.random.default_rng(self._settings.seed).permutation(len(examples))
        return self._tokens(self._with_words([examples[i] for i in order[: self._settings.calibration_rows]]))

    def _references(self) -> tuple[Reference, list[Row], Any]:
        examples = self._examples(Split.VALIDATION)
        rows = self._tokens(examples)
        known = None if self._scoped is None else self._seen(rows)
        logits = self._logits(rows) if known is None else known.logits
        config = self._model.config
        shapes = awkward_shapes(rows, self._record.max_length, self._pad, config.vocab_size, position_limit(config))
        model = self._scoped or self._model
        hidden = HiddenTokens.of(shapes, config.vocab_size, lambda batch: checkpoint_output(model, batch))
        test = self._examples(Split.TEST)
        compared = self._comparison
        right = compared.right(examples)
        reference = Reference.of(
            rows,
            compared,
            right,
            terms_of(self._record.task),
            headline(self._record.task)[1],
            logits,
            checkpoint_outputs(model, shapes),
            hidden,
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

    def measure(self, recipe: Recipe, path: Path, network: Network | None = None) -> Candidate:
        """Proves and times one variant, of the run's own network unless another is given; it may fail the gate."""
        candidate, own = self._measure(recipe, path, network)
        if network is None:
            return candidate
        return replace(candidate, variant=as_variant(candidate.variant, network, own))

    def _measure(self, recipe: Recipe, path: Path, network: Network | None) -> tuple[Candidate, ParityProof]:
        """The candidate, and its proof beside its own network."""
        reference = self._reference
        task, steps = f"verifying {path.stem}", PASSES + 2
        self._progress(task, 0, steps)
        runner = Runner(path, self._pad)
        proven, own = self._proven(recipe, runner, network, lambda done: self._progress(task, done, steps))
        if not proven.parity.passed:
            self._progress(task, steps, steps)
            return refused(recipe, path, proven.parity), own
        compared = self._comparison if network is None else network.reference.comparison
        metrics = self._measured(runner, compared, proven.threshold)
        self._progress(task, PASSES + 1, steps)
        golden = [runner.run(feed([row], runner.names, self._pad)) for row in self._golden_rows]
        speed = runner.texts_per_second(reference.rows) if recipe.device in {"any", "cpu"} else None
        self._progress(task, steps, steps)
        temperature = self._record.temperature if network is None else network.temperature
        sets = self._set_thresholds(proven.logits, temperature)
        variant = described(recipe, path, proven.parity, speed, proven.threshold, sets)
        return Candidate(variant, path, golden, metrics), own

    def _proven(
        self, recipe: Recipe, runner: Runner, network: Network | None, tick: Callable[[int], None]
    ) -> tuple[Proven, ParityProof]:
        """What is proven beside the checkpoint, and beside the network itself."""
        gate = self._settings.gate
        if network is None:
            proven = verify(runner, self._reference, recipe.precision, gate, tick)
            return proven, proven.parity
        alone = verify(runner, network.reference, recipe.precision, own_gate(gate), tick)
        return (
            beside_the_full_one(alone, network, self._reference, self._record, recipe.precision, gate),
            alone.parity,
        )

    def _measured(self, runner: Runner, compared: Comparison, threshold: float | None) -> dict[str, float]:
        """Figures of a variant on the test split."""
        test, right = self._test, self._test_right
        outputs = runner.logits(test, sorted(range(len(test)), key=lambda i: len(test[i].ids)), 8)
        logits = outputs[:, : self._reference.logits.shape[1]]
        metrics = {headline(self._record.task)[0]: compared.score(logits, right)}
        if threshold is not None:
            rows = self._test_outside
            outside = runner.logits(rows, range(len(rows)), 8)[:, -1] if rows else None
            metrics |= figures(outputs[:, -1], logits.argmax(axis=1) == right, outside, threshold)
        return metrics

    def _set_thresholds(self, logits: NDArray[np.float32], temperature: float | None) -> list[float] | None:
        if not has_prediction_sets(self._record) or temperature is None:
            return None
        right = self._reference.right.astype(np.int64)
        return conformal_thresholds(softmax(logits / temperature), right)

    def bundle(self, candidates: list[Candidate], fingerprint: str) -> Path:
        """Assembles a bundle folder of the variants that passed, fastest first. Raises ParityNotProven if none did."""
        record, rows = self._record, self._reference.rows

        def describe(passed: Sequence[Candidate], common: dict[str, Any]) -> Manifest:
            width = self._model.config.hidden_size
            trimmed = None if self._trimming is None else self._trimming.record(width)
            return run_manifest(record, passed, len(rows), self._pad, fingerprint, {**common, "vocabulary": trimmed})

        return assemble(
            record.name,
            candidates,
            self._tokenizer,
            self._golden_rows,
            describe,
            lambda manifest: model_card(manifest, self._run, record),
            Traffic(rows, self._pad, self._settings.tune_seconds, self._progress),
            self._work / "bundle",
            licences_of(record.encoder, self._settings.data_licence),
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
    key: SigningKey | None = None,
) -> tuple[Bundle, list[Candidate]]:
    """Exports, proves and publishes a complete run, signed where a key is given.

    Raises ExportFailure where the settings ask for what it cannot have.
    """
    if record.task == "embedding":
        require_whole(settings)
    with tempfile.TemporaryDirectory(prefix="bertline-export-") as work:
        make = run_encoder_exporter if record.task == "embedding" else Exporter
        exporter = make(run, record, settings, Path(work), progress)
        candidates = exporter.candidates()
        return registry.publish(exporter.bundle(candidates, fingerprint), key), candidates
