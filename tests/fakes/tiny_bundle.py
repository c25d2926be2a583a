"""Real bundles that are made in milliseconds: a bag of words in ONNX behind a WordPiece tokenizer, one for each task.

See `tiny_graphs` for what they answer.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from export.bundle import MANIFEST, Bundle, entry
from export.golden import Golden, GoldenVariant, tolerance
from export.manifest import Calibration, Host, Manifest, OutOfScope, Scale, Task, Variant
from export.proof import ParityProof
from export.registry import Registry
from tests.fakes.slow_graph import slowed
from tests.fakes.tiny_graphs import (
    WIDTH,
    classification_graph,
    embedding_graph,
    pair_graph,
    regression_graph,
    tagging_graph,
)
from tests.fakes.tiny_words import LABELS, TAG_LABELS, VOCABULARY, tiny_tokenizer

__all__ = [
    "LABELS",
    "VOCABULARY",
    "publish_tiny",
    "publish_tiny_embedding",
    "publish_tiny_multi_label",
    "publish_tiny_pair_scoring",
    "publish_tiny_regression",
    "publish_tiny_tagging",
]


@dataclass(frozen=True, slots=True)
class Kind:
    """What one task's bundle says of itself."""

    task: Task
    labels: list[str]
    pair: bool = False
    width: int | None = None
    calibrated: bool = True
    thresholds: list[float] | None = None
    scale: Scale | None = None
    scope_threshold: float | None = None


def publish_tiny(
    registry: Path,
    name: str = "tiny",
    *,
    pair: bool = False,
    max_length: int = 32,
    label: str | None = "stable",
    work: int = 0,
    rotated: int = 0,
    scope_threshold: float | None = None,
) -> Bundle:
    """Publishes a new version of a classifier and points `label` at it. `work` makes it slow, see `slow_graph`.

    `rotated` moves its labels on by so many places, so that versions can be told apart by their answers. With `scope_threshold`
    it tells texts out of scope.
    """
    labels = LABELS[rotated:] + LABELS[:rotated]
    kind = Kind("single_label_classification", labels, pair, scope_threshold=scope_threshold)
    graph = classification_graph(scope_threshold is not None)
    if work:
        graph = slowed(graph, work, len(LABELS))
    return _publish(registry, name, graph, kind, max_length, label)


def publish_tiny_multi_label(
    registry: Path,
    name: str = "topics",
    *,
    max_length: int = 32,
    label: str | None = "stable",
    thresholds: Sequence[float] = (0.9, 0.9, 0.9),
) -> Bundle:
    """Publishes a new version of a classifier whose texts can have several labels, and points `label` at it.

    With the usual thresholds a label applies when more than a sixth of the tokens are its words.
    """
    kind = Kind("multi_label_classification", LABELS, thresholds=list(thresholds))
    return _publish(registry, name, classification_graph(), kind, max_length, label)


def publish_tiny_regression(
    registry: Path, name: str = "stars", *, max_length: int = 32, label: str | None = "stable"
) -> Bundle:
    """Publishes a new version of a model of numbers (mean 3, deviation 2) and points `label` at it."""
    kind = Kind("regression", [], calibrated=False, scale=Scale(mean=3.0, deviation=2.0))
    return _publish(registry, name, regression_graph(), kind, max_length, label)


def publish_tiny_embedding(
    registry: Path, name: str = "vectors", *, max_length: int = 32, label: str | None = "stable"
) -> Bundle:
    """Publishes a new version of an encoder and points `label` at it."""
    kind = Kind("embedding", [], width=WIDTH, calibrated=False)
    return _publish(registry, name, embedding_graph(), kind, max_length, label)


def publish_tiny_pair_scoring(
    registry: Path, name: str = "ranker", *, max_length: int = 32, label: str | None = "stable"
) -> Bundle:
    """Publishes a new version of a cross-encoder and points `label` at it."""
    kind = Kind("pair_scoring", [], pair=True, calibrated=False)
    return _publish(registry, name, pair_graph(), kind, max_length, label)


def publish_tiny_tagging(
    registry: Path, name: str = "tagger", *, max_length: int = 32, label: str | None = "stable"
) -> Bundle:
    """Publishes a new version of a tagger and points `label` at it."""
    return _publish(registry, name, tagging_graph(), Kind("token_classification", TAG_LABELS), max_length, label)


def _publish(
    registry: Path, name: str, graph: onnx.ModelProto, kind: Kind, max_length: int, label: str | None
) -> Bundle:
    with tempfile.TemporaryDirectory() as aside:
        folder = Path(aside)
        tiny_tokenizer().save(str(folder / "tokenizer.json"))
        onnx.save(graph, folder / "fp32.onnx")
        (folder / "README.md").write_text("# tiny\n", encoding="utf-8")
        (folder / "golden.json").write_text(_golden(folder).model_dump_json(), encoding="utf-8")
        manifest = _manifest(folder, name, kind, max_length)
        (folder / MANIFEST).write_text(manifest.model_dump_json(), encoding="utf-8")
        bundle = Registry(str(registry)).publish(folder)
    if label is not None:
        Registry(str(registry)).set_label(name, label, bundle.manifest.version)
    return bundle


def _golden(folder: Path) -> Golden:
    ids = [[2, 5, 6, 3], [2, 14, 3], [2, 23, 24, 1, 3]]
    types = [[0] * len(row) for row in ids]
    session = onnxruntime.InferenceSession(str(folder / "fp32.onnx"), providers=["CPUExecutionProvider"])
    outputs = [
        np.concatenate(
            session.run(
                None,
                {
                    "input_ids": np.array([row], np.int64),
                    "attention_mask": np.ones((1, len(row)), np.int64),
                    "token_type_ids": np.array([kinds], np.int64),
                },
            ),
            axis=1,
        ).ravel()
        for row, kinds in zip(ids, types, strict=True)
    ]
    allowed = tolerance("fp32", np.concatenate(outputs))
    answers = GoldenVariant(tolerance=allowed, logits=[output.tolist() for output in outputs])
    return Golden(input_ids=ids, token_type_ids=types, variants={"fp32": answers})


def _manifest(folder: Path, name: str, kind: Kind, max_length: int) -> Manifest:
    proof = ParityProof(
        rows=3,
        max_logit_difference=0.0,
        mean_logit_difference=0.0,
        agreement=1.0,
        reference_accuracy=1.0,
        accuracy=1.0,
        flips_with_batch_mates=0.0,
        shapes_checked=["length 3"],
        passed=True,
        reasons=[],
    )
    variant = Variant(
        name="fp32",
        file=entry(folder / "fp32.onnx"),
        precision="fp32",
        device="any",
        recipe={},
        parity=proof,
        out_of_scope_threshold=kind.scope_threshold,
    )
    scope = OutOfScope(detector="energy", acceptance=0.99, exposure=False, rows={}, intervals={})
    return Manifest(
        name=name,
        version=1,
        task=kind.task,
        labels=kind.labels,
        thresholds=kind.thresholds,
        out_of_scope=None if kind.scope_threshold is None else scope,
        scale=kind.scale,
        width=kind.width,
        pair=kind.pair,
        max_length=max_length,
        pad_token_id=0,
        tokenizer=entry(folder / "tokenizer.json"),
        golden=entry(folder / "golden.json"),
        model_card=entry(folder / "README.md"),
        variants=[variant],
        calibration=Calibration(temperature=1.0, error_before=0.0, error_after=0.0) if kind.calibrated else None,
        metrics={"checkpoint": {"accuracy": 1.0}},
        encoder="tiny",
        data_fingerprint="0" * 64,
        measured_on=Host(processor="any", instruction_sets=[], cores=1),
        versions={},
        create_time="2026-01-01T00:00:00+00:00",
        export_fingerprint="0" * 64,
    )
