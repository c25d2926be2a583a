"""From a sentence encoder to a proven, published bundle of the task "embedding". Nothing is trained."""

from __future__ import annotations

import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from export.bundle import entry
from export.encoder_bundling import About, EncoderExporter, Material
from export.encoder_model import Encoder, open_encoder
from export.encoder_texts import read_texts
from export.failures import ExportFailure
from export.manifest import NAME_PATTERN, Manifest, Variant
from export.registry import Registry
from export.reuse import published_version
from export.settings import EncoderGate, ExportSettings
from export.signing import SigningKey
from training.encoders import Pooling, find_encoder
from training.fingerprint import combined, source_fingerprint
from training.model_making import chosen_pooling, load_config
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
    pooling: Pooling | None
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


def export_encoder(
    settings: EncoderSettings,
    registry: Registry,
    progress: Steps,
    force: bool = False,
    key: SigningKey | None = None,
) -> tuple[Manifest, list[Variant] | None]:
    """Exports, proves and publishes, signed where a key is given.

    Returns the variants that were refused, None when a published version is reused.
    """
    texts = read_texts(settings.texts, settings.column)
    source = find_encoder(settings.model)
    pooling = chosen_pooling(settings.pooling, source, load_config(source))
    with tempfile.TemporaryDirectory(prefix="bertline-export-") as folder:
        work = Path(folder)
        encoder = open_encoder(source.location, pooling, settings.max_length, work)
        data = combined(*texts)
        fingerprint = combined(_weights(encoder, work), data, settings.model_dump_json(), pooling, _code())
        version = None if force else published_version(registry, settings.name, fingerprint)
        if version is not None:
            return registry.open(settings.name, version).manifest, None
        about = About(settings.name, settings.model, data, {})
        material = _material(texts, encoder)
        made = ExportSettings(encoder_gate=settings.gate, quantize=settings.quantize)
        exporter = EncoderExporter(encoder, material, about, made, work, progress)
        candidates = exporter.candidates()
        published = registry.publish(exporter.bundle(candidates, fingerprint), key)
    refused = [each.variant for each in candidates if not each.variant.parity.passed]
    return published.manifest, refused


def _material(texts: list[str], encoder: Encoder) -> Material:
    """Some texts fix the activation scales, others compare the variants."""
    order = np.random.default_rng(SEED).permutation(len(texts)).tolist()
    apart = min(CALIBRATION_TEXTS, len(texts) // 2)
    calibration, compared = order[:apart], order[apart : apart + MOST_TEXTS]
    return Material(encoder.rows([texts[i] for i in compared]), encoder.rows([texts[i] for i in calibration]))


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
