"""The variants of a graph: what is made, in which order, and what is known of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from transformers import PretrainedConfig

from export.bundle import entry
from export.fusion import fuse
from export.manifest import Variant
from export.measurement import Runner
from export.proof import ParityProof
from export.quantization import FLOAT, HALF, PLAIN, QUANTIZED, Recipe, halve, prepare_graph, quantize
from export.rows import Row, feed
from training.progress import Steps


@dataclass(frozen=True, slots=True)
class Candidate:
    """A variant that was made and measured; it may have failed the gate."""

    variant: Variant
    path: Path
    golden: list[NDArray[np.float32]]
    """Its outputs of each golden row; none where it failed."""
    metrics: dict[str, float]
    """On the test split, where there is one and it passed."""

    @property
    def passed(self) -> bool:
        """Whether it may be published."""
        return self.variant.parity.passed


def refused(recipe: Recipe, path: Path, proof: ParityProof) -> Candidate:
    """A variant that failed the gate: of what is not published nothing else is measured."""
    return Candidate(described(recipe, path, proof, None), path, [], {})


Measure = Callable[[Recipe, Path], Candidate]


class Workshop:
    """Makes variants of one raw graph in a working folder."""

    def __init__(self, raw: Path, config: PretrainedConfig, pad: int, work: Path, progress: Steps) -> None:
        self.raw = raw
        self.fused = work / f"{FLOAT.name}.onnx"
        self._pad = pad
        self._work = work
        self._progress = progress
        fuse(raw, self.fused, config)

    def measured(self, measure: Measure, calibration: Sequence[Row]) -> list[Candidate]:
        """float32, and the first quantized recipe that passes, with all that failed before it.

        Scales are fixed on the rows of `calibration`; without any, nothing is quantized.
        """
        found = [measure(FLOAT, self.fused)]
        for recipe, path in self._quantized(calibration):
            found.append(measure(recipe, path))
            if found[-1].passed:
                break
        return found

    def for_gpus(self, measure: Measure, half: bool, tensorrt: bool) -> list[Candidate]:
        """What is asked for besides."""
        found = []
        if half:
            found.append(measure(HALF, halve(self.fused, self._work / f"{HALF.name}.onnx")))
        if tensorrt:
            found.append(measure(PLAIN, prepare_graph(self.raw, self._work / f"{PLAIN.name}.onnx")))
        return found

    def _quantized(self, calibration: Sequence[Row]) -> Iterator[tuple[Recipe, Path]]:
        if not calibration:
            return
        prepared = prepare_graph(self.raw, self._work / "prepared.onnx")
        names = Runner(self.raw, self._pad).names
        for recipe in QUANTIZED:
            task = f"quantizing {recipe.name}"
            self._progress(task, 0, 1)
            feeds = [feed([row], names, self._pad) for row in calibration]
            path = quantize(recipe, prepared, self._work / f"{recipe.name}.onnx", feeds)
            self._progress(task, 1, 1)
            yield recipe, path


def described(
    recipe: Recipe,
    path: Path,
    proof: ParityProof,
    texts_per_second: float | None,
    out_of_scope_threshold: float | None = None,
    set_thresholds: list[float] | None = None,
) -> Variant:
    """The manifest's entry of a variant."""
    return Variant(
        name=recipe.name,
        file=entry(path),
        precision=recipe.precision,
        device=recipe.device,
        recipe=recipe.describe(),
        parity=proof,
        out_of_scope_threshold=out_of_scope_threshold,
        set_thresholds=set_thresholds,
        texts_per_second=texts_per_second,
    )
