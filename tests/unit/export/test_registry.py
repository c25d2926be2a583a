from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from export.__main__ import app
from export.bundle import open_bundle
from export.failures import ExportFailure, MalformedBundle, UnknownModel
from export.manifest import Manifest
from export.registry import Registry
from tests.fakes.tiny_bundle import publish_tiny


def test_versions_count_up_and_a_label_points_at_one(tmp_path: Path) -> None:
    registry = Registry(str(tmp_path))
    for _ in range(3):
        publish_tiny(tmp_path, "news", label=None)
    registry.set_label("news", "stable", 2)
    assert registry.names() == ["news"]
    assert registry.versions("news") == [1, 2, 3]
    assert registry.resolve("news") == 2
    assert registry.resolve("news", version=3) == 3
    assert registry.open("news", 2).manifest.version == 2


def test_rolling_back_goes_to_where_the_label_was_before_and_again_further_back(tmp_path: Path) -> None:
    registry = Registry(str(tmp_path))
    for version in (1, 2, 3):
        publish_tiny(tmp_path, "news", label=None)
        registry.set_label("news", "stable", version)
    assert registry.roll_back("news", "stable") == 2
    assert registry.roll_back("news", "stable") == 1
    with pytest.raises(UnknownModel, match="never stood for another version"):
        registry.roll_back("news", "stable")
    assert [change.version for change in registry.history("news")] == [1, 2, 3, 2, 1]


def test_unknown_things_are_answered_with_what_there_is(tmp_path: Path) -> None:
    registry = Registry(str(tmp_path))
    publish_tiny(tmp_path, "news")
    with pytest.raises(UnknownModel, match="it has: news"):
        registry.resolve("other")
    with pytest.raises(UnknownModel, match="no version 7; it has: 1"):
        registry.resolve("news", version=7)
    with pytest.raises(UnknownModel, match="no label 'canary'; it has: stable"):
        registry.resolve("news", label="canary")
    with pytest.raises(UnknownModel, match="is no model name"):
        registry.resolve("../etc")


@pytest.mark.parametrize("label", ["Stable", "7", "a b", ""])
def test_a_malformed_label_is_refused(tmp_path: Path, label: str) -> None:
    publish_tiny(tmp_path, "news")
    with pytest.raises(ExportFailure):
        Registry(str(tmp_path)).set_label("news", label, 1)


def test_a_removed_label_is_gone_and_its_version_stays(tmp_path: Path) -> None:
    registry = Registry(str(tmp_path))
    publish_tiny(tmp_path, "news", label="canary")
    registry.remove_label("news", "canary")
    assert registry.labels("news") == {}
    assert registry.versions("news") == [1]


def test_publishers_at_once_get_versions_of_their_own(tmp_path: Path) -> None:
    threads = [threading.Thread(target=publish_tiny, args=(tmp_path, "news"), kwargs={"label": None}) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    registry = Registry(str(tmp_path))
    assert registry.versions("news") == [1, 2, 3, 4, 5, 6]
    assert all(registry.open("news", version).manifest.version == version for version in range(1, 7))
    assert not [path for path in (tmp_path / "news").iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("damage", "part"),
    [
        (lambda folder: (folder / "fp32.onnx").write_bytes(b"x" * (folder / "fp32.onnx").stat().st_size), "SHA-256"),
        (lambda folder: (folder / "fp32.onnx").write_bytes(b"short"), "cut off or changed"),
        (lambda folder: (folder / "golden.json").unlink(), "golden.json: missing"),
        (lambda folder: (folder / "manifest.json").write_text("[]"), "manifest.json"),
        (lambda folder: (folder / "manifest.json").unlink(), "cannot be read"),
    ],
)
def test_a_damaged_bundle_is_refused_by_file(tmp_path: Path, damage: object, part: str) -> None:
    bundle = publish_tiny(tmp_path, "news")
    assert callable(damage)
    damage(bundle.path)
    with pytest.raises(MalformedBundle, match=part):
        open_bundle(bundle.path)


def test_a_manifest_that_cannot_be_read_is_named_and_hides_no_neighbour(tmp_path: Path) -> None:
    publish_tiny(tmp_path, "news")
    bad = publish_tiny(tmp_path, "news", label=None)
    (bad.path / "manifest.json").write_text('{"schema_version": 99}', encoding="utf-8")
    with pytest.raises(MalformedBundle, match=r"news/2/manifest.json: schema_version"):
        Registry(str(tmp_path)).manifest("news", 2)
    done = CliRunner().invoke(app, ["list", "--registry", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "stable" in done.output
    assert "malformed" in done.output


def test_a_bundle_moved_by_hand_is_refused(tmp_path: Path) -> None:
    publish_tiny(tmp_path, "news")
    (tmp_path / "news" / "1").rename(tmp_path / "news" / "2")
    with pytest.raises(MalformedBundle, match="moved by hand"):
        Registry(str(tmp_path)).open("news", 2)


def test_a_variant_without_a_passed_proof_cannot_even_be_described(tmp_path: Path) -> None:
    content = publish_tiny(tmp_path, "news").manifest.model_dump()
    content["variants"][0]["parity"]["passed"] = False
    with pytest.raises(ValueError, match="without a passed parity proof: fp32"):
        Manifest.model_validate(content)


def test_a_damaged_labels_file_is_named(tmp_path: Path) -> None:
    publish_tiny(tmp_path, "news")
    (tmp_path / "news" / "labels.json").write_text(json.dumps({"labels": "oops"}), encoding="utf-8")
    with pytest.raises(MalformedBundle, match=r"labels\.json"):
        Registry(str(tmp_path)).labels("news")


def test_an_object_store_serves_the_same_bundles(tmp_path: Path) -> None:
    local = publish_tiny(tmp_path / "local", "news")
    remote = Registry("memory://registry-of-a-test", cache=tmp_path / "cache")
    published = remote.publish(local.path)
    remote.set_label("news", "stable", published.manifest.version)
    fetched = remote.open("news", remote.resolve("news"))
    assert fetched.manifest.files() == local.manifest.files()
    (fetched.path / "tokenizer.json").write_text("{}", encoding="utf-8")
    assert remote.open("news", 1).path == fetched.path  # a spoiled cache is fetched anew
