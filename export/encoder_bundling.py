"""From a sentence encoder and texts to a proven bundle, whether it was trained here or came as it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.assembly import GOLDEN_ROWS, assemble
from export.encoder_card import encoder_card
from export.encoder_model import Encoder
from export.encoder_proof import EncoderReference, Vectors, verify_encoder
from export.graph import export_encoder_graph
from export.manifest import Manifest
from export.measurement import Runner
from export.quantization import Recipe
from export.rows import Row
from export.settings import ExportSettings
from export.tuning.at_export import Traffic
from export.variants import Candidate, Workshop, described, refused
from export.verification import awkward_shapes
from training.progress import Steps


@dataclass(frozen=True, slots=True)
class Test:
    """Texts of the test split, and the scores of their vectors."""

    rows: list[Row]
    scores: Callable[[Vectors], dict[str, float]]


@dataclass(frozen=True, slots=True)
class Material:
    """Texts that variants are compared on and those that fix the activation scales; where it is known which texts belong
    together, how good vectors of the first are, and the test."""

    rows: list[Row]
    calibration: list[Row]
    quality: Callable[[Vectors], float] | None = None
    test: Test | None = None


@dataclass(frozen=True, slots=True)
class About:
    """What the manifest says of the encoder. `metrics`: of the checkpoint on the test split; empty for one that came as it is."""

    name: str
    encoder: str
    data_fingerprint: str
    metrics: dict[str, float]


class EncoderExporter:
    """Makes and proves the variants of one encoder in a working folder."""

    def __init__(
        self,
        encoder: Encoder,
        material: Material,
        about: About,
        settings: ExportSettings,
        work: Path,
        progress: Steps,
    ) -> None:
        self._encoder = encoder
        self._material = material
        self._about = about
        self._settings = settings
        self._work = work
        self._progress = progress
        rows = material.rows
        shapes = awkward_shapes(rows, encoder.max_length, encoder.pad, encoder.module.config.vocab_size)
        expected = {name: (batch, encoder.run(batch)) for name, batch in shapes.items()}
        self._reference = EncoderReference.of(rows, encoder.vectors(rows), expected, material.quality)

    def candidates(self) -> list[Candidate]:
        """float32, the first quantized recipe that passes with all that failed before it, and what is asked for for GPUs."""
        self._progress("exporting the graph", 0, 1)
        config = self._encoder.module.config
        raw = export_encoder_graph(self._encoder.module, config, self._work / "raw.onnx")
        self._progress("exporting the graph", 1, 1)
        workshop = Workshop(raw, config, self._encoder.pad, self._work, self._progress)
        found = workshop.measured(self.measure, self._material.calibration if self._settings.quantize else [])
        return found + workshop.for_gpus(self.measure, self._settings.half, self._settings.tensorrt)

    def measure(self, recipe: Recipe, path: Path) -> Candidate:
        """Proves and times one variant; it may fail the gate."""
        task = f"verifying {recipe.name}"
        self._progress(task, 0, 4)
        runner = Runner(path, self._encoder.pad)
        gate = self._settings.encoder_gate
        proof = verify_encoder(
            runner, self._reference, recipe.precision, gate, lambda done: self._progress(task, done, 4)
        )
        if not proof.passed:
            self._progress(task, 4, 4)
            return refused(recipe, path, proof)
        scores = self._tested(runner)
        self._progress(task, 3, 4)
        rows = self._reference.rows
        golden = list(runner.logits(rows[:GOLDEN_ROWS], range(min(GOLDEN_ROWS, len(rows))), 1))
        speed = runner.texts_per_second(rows) if recipe.device in {"any", "cpu"} else None
        self._progress(task, 4, 4)
        return Candidate(described(recipe, path, proof, speed), path, golden, scores)

    def _tested(self, runner: Runner) -> dict[str, float]:
        test = self._material.test
        if test is None:
            return {}
        order = sorted(range(len(test.rows)), key=lambda row: len(test.rows[row].ids))
        return test.scores(runner.logits(test.rows, order, 8))

    def bundle(self, candidates: list[Candidate], fingerprint: str) -> Path:
        """Assembles a bundle folder of the variants that passed, fastest first. Raises ParityNotProven if none did."""
        encoder, about = self._encoder, self._about

        def describe(passed: Sequence[Candidate], common: dict[str, Any]) -> Manifest:
            scores = {"checkpoint": about.metrics, **{each.variant.name: each.metrics for each in passed}}
            return Manifest(
                **common,
                name=about.name,
                task="embedding",
                labels=[],
                width=encoder.width,
                pair=False,
                max_length=encoder.max_length,
                pad_token_id=encoder.pad,
                calibration=None,
                metrics=scores if about.metrics else {},
                encoder=about.encoder,
                data_fingerprint=about.data_fingerprint,
                export_fingerprint=fingerprint,
            )

        return assemble(
            about.name,
            candidates,
            encoder.tokenizer,
            self._reference.rows[:GOLDEN_ROWS],
            describe,
            lambda manifest: encoder_card(manifest, encoder.module.pooling),
            Traffic(self._reference.rows, encoder.pad, self._settings.tune_seconds, self._progress),
            self._work / "bundle",
        )
