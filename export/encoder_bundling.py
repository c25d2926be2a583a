"""From a sentence encoder and texts to a proven bundle, whether it was trained here or came as it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.assembly import assemble
from export.awkward_shapes import awkward_shapes
from export.encoder_card import encoder_card
from export.encoder_model import Encoder
from export.encoder_proof import EncoderReference, Quality, Vectors, verify_encoder
from export.golden_rows import golden_rows
from export.graph import export_encoder_graph
from export.hidden_tokens import HiddenTokens
from export.licences import licences_of
from export.manifest import Manifest
from export.measurement import Runner
from export.recipes.kinds import Recipe
from export.rows import Row
from export.settings import ExportSettings
from export.tuning.at_export import Traffic
from export.variants import Candidate, Workshop, described, refused
from export.verification import PASSES
from training.model_making import position_limit
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
    quality: Quality | None = None
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
        config = encoder.module.config
        shapes = awkward_shapes(rows, encoder.max_length, encoder.pad, config.vocab_size, position_limit(config))
        hidden = HiddenTokens.of(shapes, config.vocab_size, encoder.run)
        expected = {name: (batch, encoder.run(batch)) for name, batch in shapes.items()}
        self._golden_rows = golden_rows(rows, encoder.tokenizer)
        self._reference = EncoderReference.of(rows, encoder.vectors(rows), expected, hidden, material.quality)

    def candidates(self) -> list[Candidate]:
        """What `Workshop.measured` makes of the settings, and what is asked for for GPUs."""
        self._progress("exporting the graph", 0, 1)
        config = self._encoder.module.config
        raw = export_encoder_graph(self._encoder.module, config, self._work / "raw.onnx")
        self._progress("exporting the graph", 1, 1)
        workshop = Workshop(raw, config, self._encoder.pad, self._work, self._progress)
        rows, wanted = self._material.calibration, self._settings
        found = workshop.measured(self.measure, rows if wanted.quantize else [], wanted.variants)
        return found + workshop.for_gpus(self.measure, wanted.half, wanted.tensorrt, rows, wanted.variants)

    def measure(self, recipe: Recipe, path: Path) -> Candidate:
        """Proves and times one variant; it may fail the gate."""
        task = f"verifying {recipe.name}"
        steps = PASSES + 2
        self._progress(task, 0, steps)
        runner = Runner(path, self._encoder.pad)
        gate = self._settings.encoder_gate
        proof = verify_encoder(
            runner, self._reference, recipe.precision, gate, lambda done: self._progress(task, done, steps)
        )
        if not proof.passed:
            self._progress(task, steps, steps)
            return refused(recipe, path, proof)
        scores = self._tested(runner)
        self._progress(task, PASSES + 1, steps)
        rows = self._reference.rows
        golden = list(runner.logits(self._golden_rows, range(len(self._golden_rows)), 1))
        speed = runner.texts_per_second(rows) if recipe.device in {"any", "cpu"} else None
        self._progress(task, steps, steps)
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
            self._golden_rows,
            describe,
            lambda manifest: encoder_card(manifest, encoder.module.pooling),
            Traffic(self._reference.rows, encoder.pad, self._settings.tune_seconds, self._progress),
            self._work / "bundle",
            licences_of(about.encoder, self._settings.data_licence),
        )
