"""The export step as a whole: from a complete run to a proven, published bundle."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.bundle import MANIFEST, Bundle, entry
from export.failures import ParityNotProven
from export.fusion import fuse
from export.golden import Golden, GoldenVariant, tolerance
from export.graph import export_graph
from export.host import describe_host
from export.manifest import Calibration, Manifest, Variant
from export.measurement import Runner
from export.model_card import model_card
from export.quantization import FLOAT, HALF, PLAIN, QUANTIZED, Recipe, halve, prepare_graph, quantize
from export.registry import Registry
from export.rows import Row, feed, tokenize
from export.settings import ExportSettings
from export.verification import Reference, awkward_shapes, reference_shapes, verify
from training.dataset import Example, Split
from training.heads import SequenceClassifier
from training.progress import Steps
from training.run import RunDirectory, RunRecord

GOLDEN_ROWS = 6
LIBRARIES = ("torch", "transformers", "optimum", "optimum-onnx", "onnx", "onnxruntime-gpu", "onnxruntime", "tokenizers")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A variant that was made and measured; it may have failed the gate."""

    variant: Variant
    path: Path
    test_accuracy: float
    golden: NDArray[np.float32]


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
        self._model = SequenceClassifier.load(run.checkpoint)
        self._pad = int(self._model.config.pad_token_id or 0)
        self._reference, self._test, self._test_truth = self._references()

    def candidates(self) -> list[Candidate]:
        """float32, the first quantized recipe that passes with all that failed before it, and what is asked for for GPUs."""
        self._progress("exporting the graph", 0, 1)
        raw = export_graph(self._model, self._work / "raw.onnx")
        self._progress("exporting the graph", 1, 1)
        fused = self._work / "fp32.onnx"
        fuse(raw, fused, self._model.config)
        found = [self.measure(FLOAT, fused)]
        for recipe, path in self._quantized(raw):
            found.append(self.measure(recipe, path))
            if found[-1].variant.parity.passed:
                break
        if self._settings.half:
            found.append(self.measure(HALF, halve(fused, self._work / f"{HALF.name}.onnx")))
        if self._settings.tensorrt:
            found.append(self.measure(PLAIN, prepare_graph(raw, self._work / f"{PLAIN.name}.onnx")))
        return found

    def _quantized(self, raw: Path) -> Iterator[tuple[Recipe, Path]]:
        if not self._settings.quantize:
            return
        prepared = prepare_graph(raw, self._work / "prepared.onnx")
        examples = list(self._run.examples(Split.TRAIN))
        picked = np.random.default_rng(self._settings.seed).permutation(len(examples))[
            : self._settings.calibration_rows
        ]
        rows = self._tokens([examples[i] for i in picked])
        names = Runner(raw, self._pad).names
        for recipe in QUANTIZED:
            task = f"quantizing {recipe.name}"
            self._progress(task, 0, 1)
            feeds = [feed([row], names, self._pad) for row in rows]
            yield recipe, quantize(recipe, prepared, self._work / f"{recipe.name}.onnx", feeds)

    def _references(self) -> tuple[Reference, list[Row], NDArray[np.int64]]:
        from training.encoding import EncodedDataset, EncodedExample
        from training.trainer import predict_logits

        examples = list(self._run.examples(Split.VALIDATION))
        rows = self._tokens(examples)
        dataset = EncodedDataset([EncodedExample(row.ids, row.types, 0) for row in rows])
        logits = predict_logits(self._model, dataset, self._pad)
        shapes = awkward_shapes(rows, self._record.max_length, self._pad, self._model.config.vocab_size)
        test = list(self._run.examples(Split.TEST))
        reference = Reference(rows, self._truth(examples), logits, reference_shapes(self._model, shapes))
        return reference, self._tokens(test), self._truth(test)

    def measure(self, recipe: Recipe, path: Path) -> Candidate:
        """Proves and times one variant; it may fail the gate."""
        reference, test, truth = self._reference, self._test, self._test_truth
        task = f"verifying {recipe.name}"
        self._progress(task, 0, 4)
        runner = Runner(path, self._pad)
        proof = verify(
            runner, reference, recipe.precision, self._settings.gate, lambda done: self._progress(task, done, 4)
        )
        order = sorted(range(len(test)), key=lambda i: len(test[i].ids))
        accuracy = float((runner.logits(test, order, 8).argmax(axis=1) == truth).mean())
        self._progress(task, 3, 4)
        golden = np.concatenate(
            [runner.run(feed([row], runner.names, self._pad)) for row in reference.rows[:GOLDEN_ROWS]]
        )
        speed = runner.texts_per_second(reference.rows) if recipe.device in {"any", "cpu"} else None
        self._progress(task, 4, 4)
        if recipe.precision == "int8":
            self._progress(f"quantizing {recipe.name}", 1, 1)
        variant = Variant(
            name=recipe.name,
            file=entry(path),
            precision=recipe.precision,
            device=recipe.device,
            recipe=recipe.describe(),
            parity=proof,
            texts_per_second=speed,
        )
        return Candidate(variant, path, accuracy, golden)

    def bundle(self, candidates: list[Candidate], fingerprint: str) -> Path:
        """Assembles a bundle folder of the variants that passed, fastest first. Raises ParityNotProven if none did."""
        passed = [candidate for candidate in candidates if candidate.variant.parity.passed]
        if not passed:
            why = "; ".join(f"{each.variant.name}: {', '.join(each.variant.parity.reasons)}" for each in candidates)
            raise ParityNotProven(f"no variant of {self._record.name} is as good as the checkpoint: {why}")
        passed.sort(key=lambda candidate: -(candidate.variant.texts_per_second or 0))
        folder = self._work / "bundle"
        folder.mkdir()
        for candidate in passed:
            shutil.copy(candidate.path, folder)
        shutil.copy(self._tokenizer, folder)
        self._write_golden(folder, passed)
        manifest = self._manifest(folder, passed, fingerprint)
        card = folder / "README.md"
        card.write_text(model_card(manifest, self._record.metrics), encoding="utf-8")
        manifest = manifest.model_copy(update={"model_card": entry(card)})
        (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
        return folder

    def _write_golden(self, folder: Path, passed: list[Candidate]) -> None:
        rows = self._tokens(list(self._run.examples(Split.VALIDATION))[:GOLDEN_ROWS])
        variants = {
            each.variant.name: GoldenVariant(
                tolerance=tolerance(each.variant.precision, each.golden), logits=each.golden.tolist()
            )
            for each in passed
        }
        golden = Golden(
            input_ids=[row.ids for row in rows], token_type_ids=[row.types for row in rows], variants=variants
        )
        (folder / "golden.json").write_text(golden.model_dump_json() + "\n", encoding="utf-8")

    def _manifest(self, folder: Path, passed: list[Candidate], fingerprint: str) -> Manifest:
        record = self._record
        scores = record.metrics["test"]
        metrics = {"checkpoint": scores, **{each.variant.name: {"accuracy": each.test_accuracy} for each in passed}}
        (folder / "README.md").touch()
        return Manifest(
            name=record.name,
            version=1,
            task=record.task,
            labels=record.labels,
            pair=record.pair,
            max_length=record.max_length,
            pad_token_id=self._pad,
            tokenizer=entry(folder / "tokenizer.json"),
            golden=entry(folder / "golden.json"),
            model_card=entry(folder / "README.md"),
            variants=[each.variant for each in passed],
            calibration=Calibration(
                temperature=record.temperature,
                error_before=scores["calibration_error_before"],
                error_after=scores["calibration_error"],
            ),
            metrics=metrics,
            encoder=record.encoder,
            data_fingerprint=record.data_fingerprint,
            measured_on=describe_host(),
            versions=library_versions(),
            create_time=datetime.now(UTC).isoformat(timespec="seconds"),
            export_fingerprint=fingerprint,
        )

    def _tokens(self, examples: list[Example]) -> list[Row]:
        return tokenize(examples, self._tokenizer, self._record.max_length)

    def _truth(self, examples: list[Example]) -> NDArray[np.int64]:
        index = {label: position for position, label in enumerate(self._record.labels)}
        return np.array([index[example.label] for example in examples], np.int64)


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
        exporter = Exporter(run, record, settings, Path(work), progress)
        candidates = exporter.candidates()
        return registry.publish(exporter.bundle(candidates, fingerprint)), candidates


def library_versions() -> dict[str, str]:
    """Versions of the libraries that made the bundle."""
    found = {}
    for name in LIBRARIES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
