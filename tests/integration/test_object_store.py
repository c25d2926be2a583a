"""A registry in a real S3-compatible object store: push, pull, interruption, signatures, and a server that loads from it."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import s3fs
from bertline.inference.v1 import inference_pb2, inference_pb2_grpc
from typer.testing import CliRunner

from export.__main__ import app
from export.bundle import MANIFEST, Bundle
from export.registry import Registry
from export.signing import SIGNATURES, SigningKey, generate
from export.storage import MARK
from services.inference.settings import InferenceSettings
from tests.fakes.changed_bundle import changed
from tests.fakes.object_store import environment, object_store
from tests.fakes.running_server import running_server
from tests.fakes.tiny_bundle import publish_tiny

CHINESE = ["财经", "体育", "科技"]


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    with object_store() as url:
        yield url


@pytest.fixture
def remote(store: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """URL of an empty registry."""
    for name, value in environment(store).items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    bucket = f"models-{uuid.uuid4().hex}"
    s3fs.S3FileSystem().mkdir(bucket)
    yield f"s3://{bucket}/registry"
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def local(tmp_path: Path) -> Bundle:
    """Version 2 of news, with Chinese labels, in the registry `home`."""
    first = publish_tiny(tmp_path / "home", "news", label=None)
    return changed(first, Registry(str(tmp_path / "home")), labels=CHINESE)


def run(*words: str) -> str:
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == 0, done.output
    return " ".join(done.output.split())


def failed(*words: str) -> str:
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == 2, done.output
    return " ".join(done.output.split())


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_version_travels_there_and_back_byte_by_byte_with_its_number_and_signature(
    remote: str, local: Bundle, tmp_path: Path
) -> None:
    home, away = str(tmp_path / "home"), str(tmp_path / "away")
    private, public, _ = generate(tmp_path / "keys")
    Registry(home).sign("news", 2, SigningKey.read(private))
    said = run("push", "news", "--version", "2", "--registry", home, "--to", remote, "--as", "stable", "--as", "canary")
    assert f"copied news version 2 (canary, stable) in {remote}" in said
    assert Registry(remote).versions("news") == [2]
    assert run("push", "news", "--version", "2", "--registry", home, "--to", remote).startswith("already there")
    run("pull", "news", "--from", remote, "--registry", away, "--label", "canary", "--trusted-key", str(public))
    assert content(tmp_path / "away/news/2") == content(local.path)
    assert {path.name for path in (tmp_path / "away/news").iterdir()} == {"2"}
    assert run("pull", "news", "--from", remote, "--registry", away).startswith("already there")
    assert "holds manifest.sig" in run("verify", "news@2", "--registry", remote, "--trusted-key", str(public))


def test_a_signature_that_came_later_follows_to_a_copy_that_is_there(
    remote: str, local: Bundle, tmp_path: Path
) -> None:
    home = str(tmp_path / "home")
    run("push", "news", "--version", "2", "--registry", home, "--to", remote)
    Registry(home).sign("news", 2, SigningKey.read(generate(tmp_path / "keys")[0]))
    assert run("push", "news", "--version", "2", "--registry", home, "--to", remote).startswith("already there")
    assert Registry(remote).content("news", 2, SIGNATURES) == (local.path / SIGNATURES).read_bytes()


def test_another_bundle_under_the_same_number_is_never_overwritten(remote: str, local: Bundle, tmp_path: Path) -> None:
    run("push", "news", "--version", "2", "--registry", str(tmp_path / "home"), "--to", remote)
    publish_tiny(tmp_path / "other", "news")
    publish_tiny(tmp_path / "other", "news", rotated=1)
    before = Registry(remote).content("news", 2)
    said = failed("push", "news", "--version", "2", "--registry", str(tmp_path / "other"), "--to", remote)
    assert "has another bundle as news version 2" in said
    assert Registry(remote).content("news", 2) == before


def test_an_interrupted_push_shows_nothing_and_goes_on_where_it_was(
    remote: str, local: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = str(tmp_path / "home")
    written: list[str] = []
    put: Any = s3fs.S3FileSystem.put_file

    def cut_off(self: Any, source: str, target: str, **more: Any) -> None:
        name = target.rsplit("/", 1)[-1]
        if name == "fp32.onnx" and name not in written:
            written.append(name)
            raise ConnectionResetError("the line is dead")
        written.append(name)
        put(self, source, target, **more)

    monkeypatch.setattr(s3fs.S3FileSystem, "put_file", cut_off)
    s3fs.S3FileSystem.clear_instance_cache()  # an instance keeps its methods
    said = failed("push", "news", "--version", "2", "--registry", home, "--to", remote)
    assert "the line is dead" in said
    assert "it goes on where it was" in said
    registry = Registry(remote)
    assert registry.names() == []
    held = set(registry.storage.children(registry.path("news", 2)))
    assert {MARK, "tokenizer.json"} <= held
    assert MANIFEST not in held

    written[:] = ["fp32.onnx"]
    run("push", "news", "--version", "2", "--registry", home, "--to", remote)
    # nothing that had arrived was written again, and the manifest came last
    assert written == ["fp32.onnx", "fp32.onnx", MANIFEST]
    assert registry.open("news", 2).manifest.labels == CHINESE
    assert MARK not in registry.storage.children(registry.path("news", 2))


def test_what_an_interrupted_push_of_another_bundle_left_is_not_taken_for_this_ones(
    remote: str, local: Bundle, tmp_path: Path
) -> None:
    registry = Registry(remote)
    fs, path = s3fs.S3FileSystem(), registry.path("news", 2)
    other = bytes(local.path.joinpath("fp32.onnx").stat().st_size)
    fs.pipe_file(f"{path}/fp32.onnx", other)
    fs.pipe_file(f"{path}/{MARK}", b"0" * 64)
    run("push", "news", "--version", "2", "--registry", str(tmp_path / "home"), "--to", remote)
    assert registry.open("news", 2).manifest.labels == CHINESE


def test_an_interrupted_pull_goes_on_where_it_was(
    remote: str, local: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = tmp_path / "away"
    run("push", "news", "--version", "2", "--registry", str(tmp_path / "home"), "--to", remote, "--as", "stable")
    got: list[str] = []
    get: Any = s3fs.S3FileSystem.get_file

    def cut_off(self: Any, source: str, target: str, **more: Any) -> None:
        name = source.rsplit("/", 1)[-1]
        got.append(name)
        if name == "fp32.onnx" and got.count(name) == 1:
            Path(target).write_bytes(b"the first bytes")
            raise ConnectionResetError("the line is dead")
        get(self, source, target, **more)

    monkeypatch.setattr(s3fs.S3FileSystem, "get_file", cut_off)
    s3fs.S3FileSystem.clear_instance_cache()  # an instance keeps its methods
    pull = ["pull", "news", "--from", remote, "--registry", str(away)]
    assert "the line is dead" in failed(*pull)
    assert Registry(str(away)).names() == []
    got[:] = ["fp32.onnx"]
    run(*pull)
    assert got == ["fp32.onnx", "fp32.onnx"]
    assert content(away / "news/2") == content(local.path)


def test_what_an_interrupted_publication_left_takes_its_number_and_blocks_nobody(remote: str, local: Bundle) -> None:
    registry = Registry(remote)
    s3fs.S3FileSystem().pipe_file(f"{registry.path('news', 1)}/fp32.onnx", b"half")
    assert registry.versions("news") == []
    assert changed(local, registry).manifest.version == 2
    assert registry.versions("news") == [2]


def test_a_bucket_that_does_not_exist_is_said_in_a_line(remote: str, tmp_path: Path) -> None:
    publish_tiny(tmp_path / "home", "news")
    said = failed("push", "news", "--registry", str(tmp_path / "home"), "--to", "s3://no-such-bucket-of-ours/models")
    assert "no-such-bucket-of-ours" in said


def test_a_store_that_cannot_be_reached_is_said_in_a_line(
    remote: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    s3fs.S3FileSystem.clear_instance_cache()
    assert "does not answer" in failed("verify", "news", "--registry", remote)
    assert "it goes on where it was" in failed("pull", "news", "--from", remote, "--registry", str(tmp_path))


def test_one_process_sees_at_once_what_another_published(remote: str, local: Bundle) -> None:
    watching = Registry(remote)
    assert watching.names() == []
    changed(local, Registry(remote))
    assert watching.versions("news") == [1]
    changed(local, Registry(remote))
    assert watching.versions("news") == [1, 2]


def test_a_server_loads_signed_bundles_from_the_store(remote: str, local: Bundle, tmp_path: Path) -> None:
    private, public, _ = generate(tmp_path / "keys")
    Registry(str(tmp_path / "home")).sign("news", 2, SigningKey.read(private))
    run("push", "news", "--version", "2", "--registry", str(tmp_path / "home"), "--to", remote, "--as", "stable")
    settings = InferenceSettings(registry=remote, port=0, trusted_keys=str(public))
    with running_server(settings) as target, grpc.insecure_channel(target) as channel:
        request = inference_pb2.ClassifyRequest(
            inputs=[inference_pb2.TextInput(text="the bank cut its rate"), inference_pb2.TextInput(text="球队赢了比赛")]
        )
        reply = inference_pb2_grpc.InferenceServiceStub(channel).Classify(request, timeout=10)
    assert [each.classification.labels[0].label for each in reply.results] == CHINESE[:2]
    assert reply.model.version == 2
