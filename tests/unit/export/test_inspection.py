"""`python -m export verify`: every fault by name, not only the first."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from export.__main__ import app
from export.registry import Registry
from export.signing import SigningKey, generate
from tests.fakes.changed_bundle import changed
from tests.fakes.spoiled_graph import spoiled
from tests.fakes.tiny_bundle import publish_tiny


def verify(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["verify", *words])
    return done.exit_code, " ".join(done.output.split())


def test_an_intact_bundle_holds_by_name_by_version_by_label_and_by_path(tmp_path: Path) -> None:
    first = publish_tiny(tmp_path, "news")
    Registry(str(tmp_path)).set_label("news", "canary", changed(first, Registry(str(tmp_path))).manifest.version)
    registry = ("--registry", str(tmp_path))
    for words, meant in (
        (("news", *registry), 1),
        (("news", "--version", "2", *registry), 2),
        (("news@2", *registry), 2),
        (("news@canary", *registry), 2),
        ((str(first.path),), 1),
    ):
        status, output = verify(*words)
        assert status == 0, output
        assert f"holds manifest.json (news version {meant})" in output
        assert "holds answers of fp32" in output
        assert "fails" not in output


def test_every_fault_of_a_bundle_is_named_at_once(tmp_path: Path) -> None:
    bundle = publish_tiny(tmp_path, "news")
    (bundle.path / "tokenizer.json").write_text("{}", encoding="utf-8")
    (bundle.path / "README.md").unlink()
    (bundle.path / "说明.txt").write_text("left here", encoding="utf-8")
    status, output = verify(str(bundle.path))
    assert status == 1
    for fault in ("tokenizer.json: 2 bytes", "fails README.md", "fails 说明.txt: the manifest does not know it"):
        assert fault in output.replace(str(bundle.path) + "/", "")
    # what is intact is still tried
    assert "holds answers of fp32" in output


def test_a_variant_whose_answers_are_others_fails_although_its_hash_holds(tmp_path: Path) -> None:
    bundle = publish_tiny(tmp_path, "news")
    folder = tmp_path / "spoiled"
    shutil.copytree(bundle.path, folder)
    shutil.copy(spoiled(bundle.path / "fp32.onnx", "bias"), folder / "fp32.onnx")
    from export.bundle import entry

    manifest = bundle.manifest.model_copy(
        update={"variants": [bundle.manifest.variants[0].model_copy(update={"file": entry(folder / "fp32.onnx")})]}
    )
    (folder / "manifest.json").write_text(manifest.model_dump_json(), encoding="utf-8")
    status, output = verify(str(folder))
    assert status == 1
    assert "holds fp32.onnx" in output
    assert "fails answers of fp32" in output


def test_a_graph_that_cannot_be_opened_is_a_fault_not_a_traceback(tmp_path: Path) -> None:
    bundle = publish_tiny(tmp_path, "news")
    folder = tmp_path / "broken"
    shutil.copytree(bundle.path, folder)
    (folder / "fp32.onnx").write_bytes(b"no graph")
    from export.bundle import entry

    variant = bundle.manifest.variants[0].model_copy(update={"file": entry(folder / "fp32.onnx")})
    manifest = bundle.manifest.model_copy(update={"variants": [variant]})
    (folder / "manifest.json").write_text(manifest.model_dump_json(), encoding="utf-8")
    status, output = verify(str(folder))
    assert status == 1
    assert "fails answers of fp32: ONNX Runtime fails" in output


@pytest.mark.parametrize("content", ["", "[]", '{"schema_version": 99}', "\xff"])
def test_a_manifest_that_cannot_be_parsed_is_the_fault(tmp_path: Path, content: str) -> None:
    bundle = publish_tiny(tmp_path, "news")
    (bundle.path / "manifest.json").write_text(content, encoding="latin-1")
    status, output = verify(str(bundle.path))
    assert status == 1
    assert "fails manifest.json" in output


def test_a_version_that_was_moved_by_hand_is_a_fault(tmp_path: Path) -> None:
    bundle = publish_tiny(tmp_path, "news")
    shutil.copytree(bundle.path, tmp_path / "news" / "2")
    status, output = verify("news@2", "--registry", str(tmp_path))
    assert status == 1
    assert "fails manifest.json: says news version 1" in output


def test_signatures_are_looked_at_when_a_key_is_given(tmp_path: Path) -> None:
    private, public, number = generate(tmp_path / "keys")
    bundle = publish_tiny(tmp_path / "models", "news")
    assert verify(str(bundle.path))[0] == 0
    status, output = verify(str(bundle.path), "--trusted-key", str(public))
    assert status == 1
    assert "fails manifest.sig" in output
    assert "is not signed" in output
    Registry(str(tmp_path / "models")).sign("news", 1, SigningKey.read(private))
    # a folder of keys does as well
    status, output = verify(str(bundle.path), "--trusted-key", str(public.parent))
    assert status == 0, output
    assert f"holds manifest.sig (by {number})" in output
    assert verify(str(bundle.path), "--trusted-key", str(tmp_path / "missing"))[0] == 2


def test_a_bundle_of_an_object_store_is_checked_as_it_lies_there_not_as_it_was_fetched(tmp_path: Path) -> None:
    url = "memory://inspection-of-a-test"
    remote = Registry(url, cache=tmp_path / "cache")
    remote.publish(publish_tiny(tmp_path / "models", "news").path)
    remote.open("news", 1)
    assert verify("news@1", "--registry", url)[0] == 0
    import fsspec

    fsspec.filesystem("memory").pipe_file(remote.path("news", 1) + "/tokenizer.json", b"{}")
    status, output = verify("news@1", "--registry", url)
    assert status == 1
    assert "fails tokenizer.json" in output


def test_what_is_no_bundle_says_so(tmp_path: Path) -> None:
    status, output = verify(str(tmp_path / "nothing" / "here"))
    assert status == 2
    assert "neither a model's name nor a folder" in output
    status, output = verify("news", "--registry", str(tmp_path))
    assert status == 2
    assert "has no model 'news'" in output
