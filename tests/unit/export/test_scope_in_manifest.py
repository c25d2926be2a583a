"""What a manifest says of texts out of scope and of prediction sets fits together, and older manifests have neither."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from export.manifest import SCOPE_OUTPUT, Manifest
from tests.fakes.tiny_bundle import publish_tiny, publish_tiny_multi_label

SCOPE = {"detector": "combined", "acceptance": 0.98, "exposure": False, "rows": {}, "intervals": {}}
SETS = {"levels": [0.8, 0.9], "rows": 100}


def changed(manifest: Manifest, variant: dict[str, Any], **fields: Any) -> Manifest:
    values = manifest.model_dump()
    values["variants"][0] |= variant
    return Manifest.model_validate({**values, **fields})


def test_a_manifest_of_before_has_neither(tmp_path: Path) -> None:
    manifest = publish_tiny(tmp_path).manifest
    written = manifest.model_dump(
        exclude={
            "out_of_scope": True,
            "prediction_sets": True,
            "variants": {"__all__": {"out_of_scope_threshold", "set_thresholds"}},
        }
    )
    read = Manifest.model_validate(written)
    assert read == manifest
    assert read.outputs == ("logits",)


def test_a_manifest_with_both_holds_together(tmp_path: Path) -> None:
    manifest = changed(
        publish_tiny(tmp_path).manifest,
        {"out_of_scope_threshold": 1.5, "set_thresholds": [0.4, 0.1]},
        out_of_scope=SCOPE,
        prediction_sets=SETS,
    )
    assert manifest.outputs == ("logits", SCOPE_OUTPUT)
    assert Manifest.model_validate_json(manifest.model_dump_json()) == manifest


@pytest.mark.parametrize(
    ("variant", "fields", "part"),
    [
        ({}, {"out_of_scope": SCOPE}, "belong together"),
        ({"out_of_scope_threshold": 1.5}, {}, "belong together"),
        ({}, {"prediction_sets": SETS}, "one for each level"),
        ({"set_thresholds": [0.4]}, {"prediction_sets": SETS}, "one for each level"),
        ({"set_thresholds": [0.4]}, {}, "one for each level"),
    ],
)
def test_halves_of_it_are_refused(variant: dict[str, Any], fields: dict[str, Any], part: str, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=part):
        changed(publish_tiny(tmp_path).manifest, variant, **fields)


def test_several_labels_have_neither(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="single-label classification"):
        changed(publish_tiny_multi_label(tmp_path).manifest, {"out_of_scope_threshold": 1.5}, out_of_scope=SCOPE)
