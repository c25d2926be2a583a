"""Which variants a workshop makes."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console
from transformers import BertConfig

from export.failures import ExportFailure
from export.proof import ParityProof
from export.recipes.catalogue import LAST_RESORT, QUANTIZED, named
from export.recipes.kinds import Recipe
from export.variants import Candidate, Workshop, described
from tests.fakes.tiny_exports import TinyExport, tiny_export
from training.progress import Steps


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyExport:
    return tiny_export(tmp_path_factory.mktemp("workshop"))


@pytest.fixture
def workshop(tiny: TinyExport, tmp_path: Path) -> Workshop:
    config = BertConfig.from_pretrained(tiny.graphs.work / "encoder")
    return Workshop(tiny.graphs.raw, config, 0, tmp_path, Steps(Console(quiet=True)))


class Gate:
    """Lets pass what it is told, with the agreement it is told, and remembers what it was shown."""

    def __init__(self, *passing: str, **agreements: float) -> None:
        self._agreements = dict.fromkeys(passing, 1.0) | agreements
        self.shown: list[str] = []

    def __call__(self, recipe: Recipe, path: Path) -> Candidate:
        assert path.stat().st_size > 1000
        self.shown.append(recipe.name)
        passed = recipe.name in self._agreements
        proof = ParityProof(
            rows=1,
            max_logit_difference=0,
            mean_logit_difference=0,
            agreement=self._agreements.get(recipe.name, 0.5),
            flips_with_batch_mates=0,
            shapes_checked=[],
            passed=passed,
            reasons=[] if passed else ["told so"],
        )
        return Candidate(described(recipe, path, proof, None), path, [], {})


FIRST, SECOND, THIRD = (recipe.name for recipe in QUANTIZED)


def test_by_default_quantized_recipes_are_tried_until_one_is_near_the_checkpoint(
    workshop: Workshop, tiny: TinyExport
) -> None:
    gate = Gate("fp32", SECOND)
    found = workshop.measured(gate, tiny.rows)
    assert gate.shown == ["fp32", FIRST, SECOND]
    assert [each.passed for each in found] == [True, False, True]


def test_of_those_that_pass_and_are_not_near_the_nearest_is_taken(workshop: Workshop, tiny: TinyExport) -> None:
    gate = Gate("fp32", **{FIRST: 0.982, SECOND: 0.989, THIRD: 0.985})
    found = workshop.measured(gate, tiny.rows)
    assert gate.shown == ["fp32", FIRST, SECOND, THIRD]
    assert [each.variant.name for each in found] == ["fp32", SECOND]


def test_what_is_hardly_faster_is_tried_last(workshop: Workshop, tiny: TinyExport) -> None:
    last = [recipe.name for recipe in LAST_RESORT]
    gate = Gate("fp32", **dict.fromkeys(last, 0.982))
    found = workshop.measured(gate, tiny.rows)
    assert gate.shown == ["fp32", FIRST, SECOND, THIRD, *last]
    assert [each.variant.name for each in found if each.passed] == ["fp32", last[0]]


def test_without_rows_the_default_is_float32_and_all_is_what_needs_none(workshop: Workshop) -> None:
    gate = Gate()
    workshop.measured(gate, [])
    assert gate.shown == ["fp32"]
    workshop.measured(gate, [], "all")
    assert gate.shown[1:] == [recipe.name for recipe in named("all") if not recipe.needs_rows]


def test_what_is_named_is_made_in_that_order_whatever_passes(workshop: Workshop, tiny: TinyExport) -> None:
    gate = Gate("weights8", "int8-static")
    workshop.measured(gate, tiny.rows, "weights8,int8-static,fp16")
    assert gate.shown == ["weights8", "int8-static", "fp16"]
    workshop.for_gpus(gate, True, True, tiny.rows, "weights8,int8-static,fp16")
    assert gate.shown[3:] == ["fp32-plain"]


def test_a_named_recipe_that_needs_rows_is_refused_without_any(workshop: Workshop) -> None:
    with pytest.raises(ExportFailure, match="int8-static-small needs rows"):
        workshop.measured(Gate(), [], "weights8,int8-static-small")
