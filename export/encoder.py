"""From a sentence encoder to a proven, published bundle of the task "embedding". Nothing is trained."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from export.assembly import GOLDEN_ROWS, assemble
from export.bundle import entry
from export.encoder_card import encoder_card
from export.encoder_model import Encoder, open_encoder
from export.encoder_proof import EncoderGate, EncoderReference, verify_encoder
from export.encoder_texts import read_texts
from export.failures import ExportFailure
from export.graph import export_encoder_graph
from export.manifest import NAME_PATTERN, Manifest, Variant
from export.measurement import Runner
from export.quantization import Recipe
from export.registry import Registry
from export.reuse import published_version
from export.rows import Row, tokenize
from export.variants import Candidate, Workshop, described
from export.verification import awkward_shapes
from training.dataset import Example
from training.encoders import find_encoder
from training.fingerprint import combined, source_fingerprint
from training.progress import Steps

MOST_TEXTS = 2_000
"""Texts that variants are compared on; every one is computed alone and in company."""
CALIBRATION_TEXTS = 256
SEED = 13


class EncoderSettings(BaseModel):
    """What becomes a bundle, and what its variants may lose."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=NAME_PATTERN)
    model: str
    texts: str
    column: str | None
    pooling: Literal["mean", "cls"] | None
    max_length: int | None
    quantize: bool
    gate: EncoderGate

    @classmethod
    def of(
        cls,
        name: str,
        model: str,
        texts: str,
        column: str | None = None,
        pooling: str | None = None,
        max_length: int | None = None,
        quantize: bool = True,
        min_cosine: float = 0.99,
        min_agreement: float = 0.9,
    ) -> EncoderSettings:
        """Raises ExportFailure that names the first value that makes no sense."""
        values = {"name": name, "model": model, "texts": texts, "column": column, "pooling": pooling}
        gate = {"min_mean_cosine": min_cosine, "min_agreement": min_agreement}
        try:
            return cls.model_validate({**values, "max_length": max_length, "quantize": quantize, "gate": gate})
        except ValidationError as error:
            first = error.errors()[0]
            raise ExportFailure(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


class EncoderExporter:
    """Makes and proves the variants of one encoder in a working folder."""

    def __init__(
        self, encoder: Encoder, texts: list[str], settings: EncoderSettings, work: Path, progress: Steps
    ) -> None:
        self._encoder = encoder
        self._settings = settings
        self._work = work
        self._progress = progress
        order = np.random.default_rng(SEED).permutation(len(texts)).tolist()
        apart = min(CALIBRATION_TEXTS, len(texts) // 2)
        self._calibration = self._rows([texts[i] for i in order[:apart]])
        rows = self._rows([texts[i] for i in order[apart : apart + MOST_TEXTS]])
        shapes = awkward_shapes(rows, encoder.max_length, encoder.pad, encoder.module.config.vocab_size)
        expected = {name: (batch, encoder.run(batch)) for name, batch in shapes.items()}
        self._reference = EncoderReference(rows, encoder.vectors(rows), expected)

    def _rows(self, texts: list[str]) -> list[Row]:
        return tokenize([Example(text, "") for text in texts], self._encoder.tokenizer, self._encoder.max_length)

    def candidates(self) -> list[Candidate]:
        """float32, and the first quantized recipe that passes with all that failed before it."""
        self._progress("exporting the graph", 0, 1)
        config = self._encoder.module.config
        raw = export_encoder_graph(self._encoder.module, config, self._work / "raw.onnx")
        self._progress("exporting the graph", 1, 1)
        workshop = Workshop(raw, config, self._encoder.pad, self._work, self._progress)
        return workshop.measured(self.measure, self._calibration if self._settings.quantize else [])

    def measure(self, recipe: Recipe, path: Path) -> Candidate:
        """Proves and times one variant; it may fail the gate."""
        task = f"verifying {recipe.name}"
        self._progress(task, 0, 3)
        runner = Runner(path, self._encoder.pad)
        proof = verify_encoder(
            runner, self._reference, recipe.precision, self._settings.gate, lambda done: self._progress(task, done, 3)
        )
        rows = self._reference.rows
        golden = runner.logits(rows[:GOLDEN_ROWS], range(min(GOLDEN_ROWS, len(rows))), 1)
        variant = described(recipe, path, proof, runner.texts_per_second(rows))
        self._progress(task, 3, 3)
        return Candidate(variant, path, golden, {})

    def bundle(self, candidates: list[Candidate], data: str, fingerprint: str) -> Path:
        """Assembles a bundle folder of the variants that passed, fastest first. Raises ParityNotProven if none did."""
        encoder = self._encoder

        def describe(passed: Sequence[Candidate], common: dict[str, Any]) -> Manifest:
            return Manifest(
                **common,
                name=self._settings.name,
                task="embedding",
                labels=[],
                width=encoder.width,
                pair=False,
                max_length=encoder.max_length,
                pad_token_id=encoder.pad,
                calibration=None,
                metrics={},
                encoder=self._settings.model,
                data_fingerprint=data,
                export_fingerprint=fingerprint,
            )

        return assemble(
            self._settings.name,
            candidates,
            encoder.tokenizer,
            self._reference.rows[:GOLDEN_ROWS],
            describe,
            lambda manifest: encoder_card(manifest, encoder.module.pooling),
            self._work / "bundle",
        )


def export_encoder(
    settings: EncoderSettings, registry: Registry, progress: Steps, force: bool = False
) -> tuple[Manifest, list[Variant] | None]:
    """Exports, proves and publishes. Returns the variants that were refused, None when a published version is reused."""
    texts = read_texts(settings.texts, settings.column)
    source = find_encoder(settings.model)
    pooling: Literal["mean", "cls"] = settings.pooling or ("mean" if source.pooling == "mean" else "cls")
    with tempfile.TemporaryDirectory(prefix="bertline-export-") as folder:
        work = Path(folder)
        encoder = open_encoder(source.location, pooling, settings.max_length, work)
        data = combined(*texts)
        fingerprint = combined(_weights(encoder, work), data, settings.model_dump_json(), pooling, _code())
        version = None if force else published_version(registry, settings.name, fingerprint)
        if version is not None:
            return registry.open(settings.name, version).manifest, None
        exporter = EncoderExporter(encoder, texts, settings, work, progress)
        candidates = exporter.candidates()
        published = registry.publish(exporter.bundle(candidates, data, fingerprint))
    refused = [each.variant for each in candidates if not each.variant.parity.passed]
    return published.manifest, refused


def _weights(encoder: Encoder, work: Path) -> str:
    """SHA-256 of weights and tokenizer, wherever they came from."""
    from safetensors.torch import save_file

    tensors = {name: tensor.clone().contiguous() for name, tensor in encoder.module.state_dict().items()}
    save_file(tensors, work / "weights.safetensors")
    return combined(entry(work / "weights.safetensors").sha256, entry(encoder.tokenizer).sha256)


def _code() -> str:
    spec = find_spec("export")
    assert spec is not None and spec.origin is not None
    return source_fingerprint(Path(spec.origin).parent)
