"""The variants of a graph: what is made, in which order, and what is known of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from transformers import PretrainedConfig

from export.bundle import entry
from export.failures import ExportFailure
from export.fusion import fuse
from export.manifest import Variant
from export.proof import ParityProof
from export.quantization import write_graph
from export.recipes.catalogue import ALL, DEFAULT, FLOAT, HALF, LAST_RESORT, PLAIN, QUANTIZED, named
from export.recipes.graphs import Graphs
from export.recipes.kinds import Recipe
from export.rows import Row
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
NEAR = 0.99
"""Agreement with the checkpoint from which no nearer variant is looked for; below the gate's limit nothing passes anyway."""


class Workshop:
    """Makes variants of one raw graph in a working folder."""

    def __init__(self, raw: Path, config: PretrainedConfig, pad: int, work: Path, progress: Steps) -> None:
        self.raw = raw
        self.fused = work / "fused.onnx"
        self._config = config
        self._pad = pad
        self._work = work
        self._progress = progress
        fuse(raw, self.fused, config)

    def measured(self, measure: Measure, calibration: Sequence[Row], variants: str = DEFAULT) -> list[Candidate]:
        """What `variants` wants, each made and measured: by default float32 and a quantized one; "all" that run on a CPU; or
        those named.

        Scales are fixed on the rows of `calibration`; without any, nothing is quantized by default. Raises ExportFailure where a
        recipe is named that needs rows.
        """
        graphs = self._graphs(calibration)
        if variants != DEFAULT:
            return [self._made(recipe, graphs, measure) for recipe in self._feasible(variants, calibration)]
        found = [self._made(FLOAT, graphs, measure)]
        for recipes in (QUANTIZED, LAST_RESORT) if calibration else ():
            tried = self._tried(recipes, graphs, measure)
            found += [each for each in tried if not each.passed]
            if passed := [each for each in tried if each.passed]:
                found.append(max(passed, key=lambda each: each.variant.parity.agreement))
                break
        return found

    def _tried(self, recipes: Sequence[Recipe], graphs: Graphs, measure: Measure) -> list[Candidate]:
        """Made in this order until one passes and is near the checkpoint."""
        tried: list[Candidate] = []
        for recipe in recipes:
            tried.append(self._made(recipe, graphs, measure))
            if tried[-1].passed and tried[-1].variant.parity.agreement >= NEAR:
                break
        return tried

    def for_gpus(
        self, measure: Measure, half: bool, tensorrt: bool, calibration: Sequence[Row] = (), variants: str = DEFAULT
    ) -> list[Candidate]:
        """What is asked for besides, unless `variants` names it. On the rows of `calibration` float16 must not overflow."""
        known = set() if variants in {DEFAULT, ALL} else {recipe.name for recipe in named(variants)}
        asked = [HALF] * half + [PLAIN] * tensorrt
        graphs = self._graphs(calibration)
        return [self._made(recipe, graphs, measure) for recipe in asked if recipe.name not in known]

    def _graphs(self, calibration: Sequence[Row]) -> Graphs:
        return Graphs(self.raw, self.fused, self._config, self._pad, self._work, calibration)

    @staticmethod
    def _feasible(variants: str, calibration: Sequence[Row]) -> list[Recipe]:
        recipes = named(variants)
        lacking = [] if calibration else [recipe for recipe in recipes if recipe.needs_rows]
        if lacking and variants != ALL:
            raise ExportFailure(f"{lacking[0].name} needs rows to fix its scales on, and there are none")
        return [recipe for recipe in recipes if recipe not in lacking]

    def _made(self, recipe: Recipe, graphs: Graphs, measure: Measure) -> Candidate:
        task = f"making {recipe.name}"
        self._progress(task, 0, 1)
        path = write_graph(recipe, graphs, self._work / f"{recipe.name}.onnx")
        self._progress(task, 1, 1)
        return measure(recipe, path)


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
