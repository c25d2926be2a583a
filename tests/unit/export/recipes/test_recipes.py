"""Every recipe makes a graph that answers nearly as the float32 one; only dynamic scales let batch mates change an answer."""

from __future__ import annotations

import json
import logging
import re
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from export.failures import ExportFailure
from export.manifest import NAME_PATTERN, Variant
from export.recipes.catalogue import ALL, DEFAULT, QUANTIZED, RECIPES, UnknownRecipe, named
from export.recipes.graphs import nearest_products
from export.recipes.kinds import Dynamic, Recipe, Static, WeightOnly
from export.settings import ExportSettings
from tests.fakes.tiny_exports import TinyExport, tiny_export

NEAR = {"fp32": 1e-4, "fp16": 0.05, "int8": 0.12, "int4": 0.4}
"""Largest mean distance of logits, as a share of their deviation."""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyExport:
    return tiny_export(tmp_path_factory.mktemp("recipes"))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_a_recipe_makes_a_graph_whose_logits_are_near_those_of_float32(tiny: TinyExport, recipe: Recipe) -> None:
    expected = tiny.logits(tiny.graphs.fused)
    actual = tiny.logits(tiny.made(recipe))
    assert actual.dtype == np.float32
    assert np.abs(actual - expected).mean() < NEAR[recipe.precision] * expected.std()
    if recipe.precision != "fp32":
        assert np.abs(actual - expected).max() > 0


@pytest.mark.parametrize(
    "recipe",
    [each for each in RECIPES if isinstance(each, (Static, WeightOnly))],
    ids=lambda recipe: recipe.name,
)
def test_fixed_scales_and_scales_of_rows_give_a_text_the_same_logits_in_any_company(
    tiny: TinyExport, recipe: Recipe
) -> None:
    graph = tiny.made(recipe)
    # padding adds zeros to sums, in float32, in another order
    assert np.abs(tiny.logits(graph, 8) - tiny.logits(graph)).max() < 1e-4


@pytest.mark.parametrize("name", ["int8-dynamic", "int8-dynamic-uint8", "int8-dynamic-fused"])
def test_one_dynamic_scale_a_batch_lets_company_move_a_texts_logits(tiny: TinyExport, name: str) -> None:
    (recipe,) = named(name)
    graph = tiny.made(recipe)
    assert np.abs(tiny.logits(graph, 8) - tiny.logits(graph)).max() > 1e-3


def test_the_catalogue_names_each_recipe_once_and_validly() -> None:
    names = [recipe.name for recipe in RECIPES]
    assert len(set(names)) == len(names)
    assert all(re.match(NAME_PATTERN, name) for name in names)
    assert not {DEFAULT, ALL} & set(names)
    assert set(QUANTIZED) < set(RECIPES)


def test_no_two_recipes_are_described_alike_and_a_manifest_can_hold_each() -> None:
    described = [json.dumps([recipe.describe(), recipe.device]) for recipe in RECIPES]
    assert len(set(described)) == len(described)
    assert all(recipe.summary() for recipe in RECIPES)
    for field, of in (("precision", "precision"), ("device", "device"), ("recipe", "describe")):
        for recipe in RECIPES:
            value = recipe.describe() if of == "describe" else getattr(recipe, of)
            kept = Variant.model_construct(**{field: value})
            Variant.__pydantic_validator__.validate_assignment(kept, field, value)


def test_a_default_never_depends_on_company() -> None:
    assert not any(isinstance(recipe, Dynamic) for recipe in QUANTIZED)


def test_names_give_their_recipes_once_in_their_order_and_all_gives_those_of_a_cpu() -> None:
    assert [recipe.name for recipe in named(" weights4,fp16 , weights4")] == ["weights4", "fp16"]
    assert {recipe.name for recipe in RECIPES} - {recipe.name for recipe in named("all")} == {"fp16", "fp32-plain"}


@pytest.mark.parametrize("variants", ["int8-statik", "fp32,Fp16", "", " , "])
def test_an_unknown_name_is_refused_with_those_there_are(variants: str) -> None:
    with pytest.raises(UnknownRecipe, match=r"there are default, all, .*int8-static, .*weights4") as raised:
        named(variants)
    assert isinstance(raised.value, ExportFailure)
    with pytest.raises(ValueError, match="no recipe is"):
        ExportSettings(variants=variants)


def test_settings_that_quantize_nothing_and_name_variants_contradict_themselves() -> None:
    with pytest.raises(ValueError, match="leave one of them out"):
        ExportSettings(quantize=False, variants="int8-static")


def test_the_head_is_the_product_before_the_output_and_a_dynamic_recipe_can_leave_it(tiny: TinyExport) -> None:
    prepared = onnx.load(tiny.graphs.prepared).graph
    assert nearest_products(prepared) == ["/classifier/Gemm"]
    kept, quantized = (
        [node.name for node in onnx.load(tiny.made(recipe)).graph.node if node.op_type == "MatMulInteger"]
        for recipe in named("int8-dynamic-head,int8-dynamic")
    )
    assert len(quantized) == len(kept) + 1
    assert not any("classifier" in name for name in kept)


def test_static_products_read_int8_and_give_float32_unless_their_outputs_are_asked_for(tiny: TinyExport) -> None:
    def rounded_outputs(name: str) -> int:
        (recipe,) = named(name)
        graph = onnx.load(tiny.made(recipe)).graph
        products = {output for node in graph.node if node.op_type in {"MatMul", "Gemm"} for output in node.output}
        return sum(node.op_type == "QuantizeLinear" and node.input[0] in products for node in graph.node)

    assert rounded_outputs("int8-static") == 0
    assert rounded_outputs("int8-static-outputs") > 10


def test_excluded_nodes_keep_float32_weights(tiny: TinyExport) -> None:
    def float_products(name: str) -> set[str]:
        (recipe,) = named(name)
        graph = onnx.load(tiny.made(recipe)).graph
        weights = {each.name for each in graph.initializer}
        return {node.name for node in graph.node if node.op_type == "MatMul" and node.input[1] in weights}

    assert float_products("int8-static") == set()
    assert float_products("int8-static-partial") == {
        f"/encoder/encoder/layer.{layer}/{part}/MatMul"
        for layer in range(2)
        for part in ("attention/output/dense", "output/dense")
    }


def test_embeddings_by_rows_are_a_quarter_and_within_half_a_step_of_each_row(tiny: TinyExport) -> None:
    (recipe,) = named("int8-static-small")
    made = {each.name: each for each in onnx.load(tiny.made(recipe)).graph.initializer}
    whole = {each.name: each for each in onnx.load(tiny.graphs.prepared).graph.initializer}
    (name,) = [name for name in whole if name.endswith("word_embeddings.weight")]
    rows, scales = (numpy_helper.to_array(made[f"{name}_{part}"]) for part in ("rows", "scales"))
    table = numpy_helper.to_array(whole[name])
    assert (rows.dtype, scales.shape) == (np.int8, (len(table), 1))
    assert (np.abs(rows * scales - table) <= scales / 2 + 1e-6).all()
    assert name not in made


def test_making_variants_prints_nothing_and_leaves_logging_as_it_was(
    tiny: TinyExport, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = logging.getLogger()
    # as in a program that nobody configured logging of, where the tool for weights is imported for the first time
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.delitem(sys.modules, "onnxruntime.quantization.matmul_nbits_quantizer", raising=False)
    level = root.level
    for recipe in named("weights4,int8-static-percentile,int8-dynamic,fp16"):
        tiny.made(recipe)
    assert capfd.readouterr() == ("", "")
    assert (root.level, root.handlers, root.manager.disable) == (level, [], 0)


def test_only_the_graphs_are_left_in_the_folder(tiny: TinyExport, tmp_path: Path) -> None:
    (recipe,) = named("int8-static-smooth")
    tiny.made(recipe)
    assert not (tiny.graphs.work / "observed.onnx").exists()
