"""From a sentence encoder to a proven, published bundle of the task "embedding". Nothing is trained."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from export.bundle import MANIFEST, entry
from export.bundling import GOLDEN_ROWS, library_versions
from export.encoder_card import encoder_card
from export.encoder_model import Encoder, open_encoder
from export.encoder_proof import EncoderGate, EncoderReference, verify_encoder
from export.encoder_texts import read_texts
from export.failures import ExportFailure, ParityNotProven
from export.fusion import fuse
from export.golden import Golden, GoldenVariant, tolerance
from export.graph import export_encoder_graph
from export.host import describe_host
from export.manifest import NAME_PATTERN, Manifest, Variant
from export.measurement import Runner
from export.quantization import FLOAT, QUANTIZED, Recipe, prepare_graph, quantize
from export.registry import Registry
from export.reuse import published_version
from export.rows import Row, feed, tokenize
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


@dataclass(frozen=True, slots=True)
class Candidate:
    """A variant that was made and measured; it may have failed the gate."""

    variant: Variant
    path: Path
    golden: NDArray[np.float32]


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
        fused = self._work / "fp32.onnx"
        fuse(raw, fused, config)
        found = [self.measure(FLOAT, fused)]
        for recipe, path in self._quantized(raw):
            found.append(self.measure(recipe, path))
            if found[-1].variant.parity.passed:
                break
        return found

    def _quantized(self, raw: Path) -> Iterator[tuple[Recipe, Path]]:
        if not self._settings.quantize:
            return
        prepared = prepare_graph(raw, self._work / "prepared.onnx")
        names = Runner(raw, self._encoder.pad).names
        for recipe in QUANTIZED:
            task = f"quantizing {recipe.name}"
            self._progress(task, 0, 1)
            feeds = [feed([row], names, self._encoder.pad) for row in self._calibration]
            path = quantize(recipe, prepared, self._work / f"{recipe.name}.onnx", feeds)
            self._progress(task, 1, 1)
            yield recipe, path

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
        variant = Variant(
            name=recipe.name,
            file=entry(path),
            precision=recipe.precision,
            device=recipe.device,
            recipe=recipe.describe(),
            parity=proof,
            texts_per_second=runner.texts_per_second(rows),
        )
        self._progress(task, 3, 3)
        return Candidate(variant, path, golden)

    def bundle(self, candidates: list[Candidate], data: str, fingerprint: str) -> Path:
        """Assembles a bundle folder of the variants that passed, fastest first. Raises ParityNotProven if none did."""
        passed = [candidate for candidate in candidates if candidate.variant.parity.passed]
        if not passed:
            why = "; ".join(f"{each.variant.name}: {', '.join(each.variant.parity.reasons)}" for each in candidates)
            raise ParityNotProven(f"no variant of {self._settings.name} is as good as the checkpoint: {why}")
        passed.sort(key=lambda candidate: -(candidate.variant.texts_per_second or 0))
        folder = self._work / "bundle"
        folder.mkdir()
        for candidate in passed:
            shutil.copy(candidate.path, folder)
        shutil.copy(self._encoder.tokenizer, folder)
        card = folder / "README.md"
        card.touch()
        (folder / "golden.json").write_text(self._golden(passed).model_dump_json() + "\n", encoding="utf-8")
        manifest = self._manifest(folder, passed, data, fingerprint)
        card.write_text(encoder_card(manifest, self._encoder.module.pooling), encoding="utf-8")
        manifest = manifest.model_copy(update={"model_card": entry(card)})
        (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
        return folder

    def _golden(self, passed: list[Candidate]) -> Golden:
        rows = self._reference.rows[:GOLDEN_ROWS]
        variants = {
            each.variant.name: GoldenVariant(
                tolerance=tolerance(each.variant.precision, each.golden), logits=each.golden.tolist()
            )
            for each in passed
        }
        ids, types = [row.ids for row in rows], [row.types for row in rows]
        return Golden(input_ids=ids, token_type_ids=types, variants=variants)

    def _manifest(self, folder: Path, passed: list[Candidate], data: str, fingerprint: str) -> Manifest:
        return Manifest(
            name=self._settings.name,
            version=1,
            task="embedding",
            labels=[],
            width=self._encoder.width,
            pair=False,
            max_length=self._encoder.max_length,
            pad_token_id=self._encoder.pad,
            tokenizer=entry(folder / "tokenizer.json"),
            golden=entry(folder / "golden.json"),
            model_card=entry(folder / "README.md"),
            variants=[each.variant for each in passed],
            calibration=None,
            metrics={},
            encoder=self._settings.model,
            data_fingerprint=data,
            measured_on=describe_host(),
            versions=library_versions(),
            create_time=datetime.now(UTC).isoformat(timespec="seconds"),
            export_fingerprint=fingerprint,
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
