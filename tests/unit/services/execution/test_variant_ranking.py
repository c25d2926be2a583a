"""Which variant a server tries first, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from export.bundle import Bundle
from export.choices import HostChoice
from export.failures import MalformedBundle, UnknownModel
from export.golden import Golden
from export.host import host_class
from services.inference.execution.devices import Device
from services.inference.execution.variant_choice import Execution, prepare
from services.inference.execution.variant_ranking import Ranking, ranked
from services.inference.metrics import Metrics
from services.inference.settings import InferenceSettings
from tests.fakes.host_choice import host_choice
from tests.fakes.tiny_variants import Tiny, publish_variants

HERE = host_class()
FAMILY = HERE.partition("/")[0]
RATIOS = {"fp32": 1.0, "int8-a": 0.5, "int8-b": 0.4}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return publish_variants(tmp_path_factory.mktemp("registry"), [Tiny("int8-a"), Tiny("fp32"), Tiny("int8-b")])


def ranking(bundle: Bundle, choices: list[HostChoice] | None = None, **given: Any) -> Ranking:
    return ranked(bundle.manifest, Device(), InferenceSettings(**given), choices)


def names(found: Ranking) -> list[str]:
    return [variant.name for variant in found.variants]


def test_without_a_choice_the_bundles_order_counts(bundle: Bundle) -> None:
    found = ranking(bundle)
    assert (names(found), found.why, found.host_class) == (["int8-a", "fp32", "int8-b"], "order", HERE)
    stranger = ranking(bundle, [host_choice("cuda/9.0", "fp32", RATIOS)])
    assert (names(stranger)[0], stranger.why) == ("int8-a", "order")


def test_the_choice_for_this_class_comes_first_then_what_was_measured_to_be_next(bundle: Bundle) -> None:
    found = ranking(bundle, [host_choice(HERE, "fp32", RATIOS)])
    assert (names(found), found.why) == (["fp32", "int8-b", "int8-a"], "host_class")


def test_lone_texts_may_have_another_choice_than_load(bundle: Bundle) -> None:
    choices = [host_choice(HERE, "int8-b", RATIOS, latency="fp32")]
    assert names(ranking(bundle, choices))[0] == "int8-b"
    assert names(ranking(bundle, choices, tuned_for="latency"))[0] == "fp32"


def test_a_relative_of_this_class_stands_in(bundle: Bundle) -> None:
    found = ranking(bundle, [host_choice(f"{FAMILY}/relative", "int8-b", RATIOS)])
    assert (names(found)[0], found.why) == ("int8-b", "family")


def test_variants_that_a_choice_does_not_know_come_last(bundle: Bundle) -> None:
    found = ranking(bundle, [host_choice(HERE, "fp32", {"fp32": 1.0})])
    assert names(found) == ["fp32", "int8-a", "int8-b"]


def test_a_choice_of_variants_that_are_not_there_changes_nothing(bundle: Bundle) -> None:
    found = ranking(bundle, [host_choice(HERE, "gone", {"gone": 1.0})])
    assert (names(found)[0], found.why) == ("int8-a", "order")


def test_the_manifests_own_choices_count_where_the_registry_says_nothing(bundle: Bundle) -> None:
    manifest = bundle.manifest.model_copy(update={"choices": [host_choice(HERE, "int8-b", RATIOS)]})
    assert ranked(manifest, Device(), InferenceSettings()).variants[0].name == "int8-b"
    assert ranked(manifest, Device(), InferenceSettings(), []).why == "order"


def test_a_pinned_variant_is_the_only_one(bundle: Bundle) -> None:
    for pin in ("fp32", "other=int8-b,tiny=fp32", "int8-b,tiny=fp32"):
        found = ranking(bundle, [host_choice(HERE, "int8-b", RATIOS)], variant=pin)
        assert (names(found), found.why) == (["fp32"], "pinned")
    assert ranking(bundle, variant="other=fp32").why == "order"


def test_a_pinned_variant_that_is_not_there_is_an_error_that_says_what_is(bundle: Bundle) -> None:
    with pytest.raises(UnknownModel, match="no variant 'int4' for cpu; it has: int8-a, fp32, int8-b"):
        ranking(bundle, variant="int4")


@pytest.mark.parametrize("pin", ["=fp32", "a=", "fp32,", "a=b=c", "INT8"])
def test_a_malformed_pin_is_refused_at_start(pin: str) -> None:
    with pytest.raises(ValidationError, match="variant"):
        InferenceSettings(variant=pin)


def prepared(
    bundle: Bundle, state: Path, metrics: Metrics, choices: list[HostChoice] | None = None, **given: Any
) -> Execution:
    settings = InferenceSettings(state_dir=state, threads=1, calibration="off", **given)
    golden = Golden.read(bundle.file(bundle.manifest.golden))
    return prepare(bundle, golden, settings, metrics, choices=choices)


def chosen(metrics: Metrics, variant: str, why: str) -> float | None:
    labels = {"model": "tiny", "variant": variant, "why": why}
    return metrics.registry.get_sample_value("bertline_inference_variants_chosen_total", labels)


def test_the_chosen_variant_serves_and_the_metric_says_why(bundle: Bundle, tmp_path: Path) -> None:
    metrics = Metrics()
    execution = prepared(bundle, tmp_path, metrics, [host_choice(HERE, "int8-b", RATIOS)])
    assert (execution.variant.name, execution.why) == ("int8-b", "host_class")
    assert chosen(metrics, "int8-b", "host_class") == 1


def test_a_chosen_variant_with_wrong_golden_answers_gives_way_to_the_next_measured_one(tmp_path: Path) -> None:
    spoiled = publish_variants(tmp_path / "registry", [Tiny("fp32"), Tiny("int8-a"), Tiny("int8-b", wrong=True)])
    metrics = Metrics()
    execution = prepared(spoiled, tmp_path, metrics, [host_choice(HERE, "int8-b", RATIOS)])
    assert (execution.variant.name, execution.why) == ("int8-a", "fell_back")
    assert chosen(metrics, "int8-a", "fell_back") == 1
    refused = {"model": "tiny", "variant": "int8-b"}
    assert metrics.registry.get_sample_value("bertline_inference_variants_refused_total", refused) == 1


def test_a_pinned_variant_with_wrong_golden_answers_does_not_serve_and_nothing_else_does(tmp_path: Path) -> None:
    spoiled = publish_variants(tmp_path / "registry", [Tiny("fp32"), Tiny("int8", wrong=True)])
    with pytest.raises(MalformedBundle, match="int8: outputs are off"):
        prepared(spoiled, tmp_path, Metrics(), variant="int8")
