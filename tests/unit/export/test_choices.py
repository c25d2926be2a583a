"""Choices by class of hosts: in the manifest, in choices.json, and which of them counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from export.bundle import parse_manifest
from export.choices import Choices, HostChoice, choice_for, merged
from export.failures import MalformedBundle, UnknownModel
from export.registry import Registry
from tests.fakes.host_choice import host_choice
from tests.fakes.tiny_bundle import publish_tiny
from tests.fakes.tiny_variants import Tiny, publish_variants


def test_a_later_choice_of_a_class_takes_the_place_of_an_earlier_one() -> None:
    old, new, other = (host_choice(host, best) for host, best in (("a/x", "fp32"), ("a/x", "int8"), ("a/y", "fp32")))
    assert merged([old, other], [new]) == [new, other]
    content = Choices().with_choice(3, old).with_choice(3, new).with_choice(4, other)
    assert content.versions == {3: [new], 4: [other]}
    assert Choices.model_validate_json(content.model_dump_json()) == content


def test_a_choice_is_found_by_class_then_by_family() -> None:
    choices = [host_choice("x86_64/avx2", "fp32"), host_choice("x86_64/amx_int8", "int8")]
    assert choice_for("x86_64/avx2", choices) == (choices[0], "host_class")
    assert choice_for("x86_64/avx512_vnni", choices) == (choices[1], "family")
    assert choice_for("aarch64/i8mm", choices) is None


def test_after_the_chosen_variant_the_others_are_ranked_as_measured() -> None:
    choice = host_choice("a/x", "b", {"a": 1.0, "b": 0.6, "c": 0.5})
    assert choice.ranking("throughput") == ["b", "c", "a"]
    assert choice.ranking("latency") == ["b", "c", "a"]


def test_a_choice_of_a_variant_that_was_not_measured_is_refused() -> None:
    with pytest.raises(ValidationError, match="variant gone was not measured"):
        HostChoice.model_validate({**host_choice("a/x", "fp32").model_dump(), "latency": "gone"})


def test_the_registry_adds_choices_to_a_published_version_and_leaves_the_bundle_alone(tmp_path: Path) -> None:
    bundle = publish_tiny(tmp_path)
    registry = Registry(str(tmp_path))
    before = (bundle.path / "manifest.json").read_bytes()
    assert registry.choices(bundle.manifest) == []
    choice = host_choice("x86_64/avx2", "fp32")
    registry.add_choice("tiny", 1, choice)
    assert registry.choices(bundle.manifest) == [choice]
    assert (bundle.path / "manifest.json").read_bytes() == before
    second = publish_tiny(tmp_path)
    assert registry.choices(second.manifest) == []
    with pytest.raises(UnknownModel):
        registry.add_choice("tiny", 3, choice)


def test_what_was_measured_later_wins_over_the_manifest(tmp_path: Path) -> None:
    made = publish_variants(tmp_path, [Tiny("fp32"), Tiny("int8")])
    inside = [host_choice("x86_64/avx2", "fp32"), host_choice("aarch64/i8mm", "int8")]
    manifest = made.manifest.model_copy(update={"choices": inside})
    later = host_choice("x86_64/avx2", "int8")
    registry = Registry(str(tmp_path))
    registry.add_choice("tiny", 1, later)
    assert registry.choices(manifest) == [inside[1], later]


def test_a_spoiled_file_is_named(tmp_path: Path) -> None:
    bundle = publish_tiny(tmp_path)
    (tmp_path / "tiny" / "choices.json").write_text('{"versions": {"one": []}}', encoding="utf-8")
    with pytest.raises(MalformedBundle, match=r"choices\.json"):
        Registry(str(tmp_path)).choices(bundle.manifest)


def test_a_manifest_may_have_no_choices_but_none_of_strangers(tmp_path: Path) -> None:
    manifest = publish_tiny(tmp_path).manifest
    content: dict[str, Any] = manifest.model_dump(exclude={"choices", "token_lengths"})
    older = type(manifest).model_validate(content)
    assert (older.choices, older.token_lengths) == ([], {})
    strange = manifest.model_copy(update={"choices": [host_choice("a/x", "gone", {"gone": 1.0})]})
    with pytest.raises(MalformedBundle, match="choices of variants that are not there: gone"):
        parse_manifest(strange.model_dump_json(), "manifest.json")
