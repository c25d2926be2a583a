"""The measuring programs against a real server with a tiny model: short, and only whether they tell the truth."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from typer.testing import CliRunner

from benchmarks import flips, overload, serving, soak
from benchmarks.expectations import Expectations
from benchmarks.malformed import Malformed, kinds
from benchmarks.registry_copies import publish_copy, servable
from export.registry import Registry
from services.inference.settings import InferenceSettings
from tests.fakes.running_server import running_server
from tests.fakes.tiny_bundle import publish_tiny
from tests.fakes.tiny_words import WORDS


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("registry")
    publish_tiny(folder, "tiny", work=300)
    return folder


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("texts") / "texts.jsonl"
    words = [word for group in WORDS.values() for word in group]
    rows = [f"{one} {two} {one}" for one in words for two in words]
    file.write_text("".join(json.dumps({"text": row}) + "\n" for row in rows), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def channel(registry: Path) -> Iterator[grpc.Channel]:
    with (
        running_server(InferenceSettings(registry=str(registry), port=0)) as target,
        grpc.insecure_channel(target) as made,
    ):
        yield made


def run(app: object, registry: Path, texts: Path, out: Path, *options: str) -> str:
    arguments = ["--registry", str(registry), "--model", "tiny", "--texts", str(texts), "--out", str(out), *options]
    result = CliRunner().invoke(app, arguments)  # type: ignore[arg-type]
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("kind", kinds("tiny"), ids=lambda kind: kind.name)
def test_a_malformed_call_ends_as_the_soak_expects(channel: grpc.Channel, kind: Malformed) -> None:
    try:
        channel.unary_unary(kind.path)(kind.message, timeout=10)
        status = 0
    except grpc.RpcError as error:
        status = error.code().value[0]  # type: ignore[attr-defined]
    assert status in kind.statuses


def test_a_copy_of_one_variant_is_a_proven_bundle_that_answers_the_same(registry: Path, tmp_path: Path) -> None:
    bundle = Registry(str(registry)).open("tiny", 1)
    assert servable(bundle) == ["fp32"]
    assert servable(bundle, "cuda") == ["fp32"]
    target = Registry(str(tmp_path))
    copies = [publish_copy(bundle, ["fp32"], target) for _ in range(2)]
    assert [copy.manifest.version for copy in copies] == [1, 2]
    assert target.resolve("tiny") == 2
    assert copies[0].manifest.variants == bundle.manifest.variants
    table = Expectations(copies, ["bank rate", "球队"])
    assert table.right(2, 1, "sports")
    assert not table.right(2, 0, "sports")
    assert not table.right(3, 0, "business")
    assert table.telling == 0
    with pytest.raises(KeyError):
        publish_copy(bundle, ["int4"], target)


def test_the_bench_reports_every_figure(texts: Path, tmp_path: Path) -> None:
    registry = tmp_path / "registry"
    publish_tiny(registry)
    output = run(serving.app, registry, texts, tmp_path, "--callers", "1,4", "--rounds", "1", "--seconds", "1")
    assert "answers as in process: 100.0%" in output
    report = json.loads((tmp_path / "serving-tiny-texts.json").read_text(encoding="utf-8"))
    assert [level["callers"] for level in report["levels"]] == [1, 4]
    assert all(
        level["waste"] >= 1 and level["batch_texts"] >= 1 and level["server_cpu"] > 0 for level in report["levels"]
    )
    assert report["memory_end"] > 1 << 20
    assert report["lone"]["server_p50_ms"] > 0


def test_no_text_flips_and_all_are_asked(registry: Path, texts: Path, tmp_path: Path) -> None:
    run(
        flips.app,
        registry,
        texts,
        tmp_path,
        "--least",
        "300",
        "--most",
        "300",
        "--callers",
        "16",
        "--passes",
        "1",
        "--batch-texts",
        "8",
    )
    (variant,) = json.loads((tmp_path / "flips-tiny.json").read_text(encoding="utf-8"))["variants"]
    assert (variant["variant"], variant["texts"], variant["answers"], variant["flipped"]) == ("fp32", 300, 300, 0)
    assert variant["batch_texts"] > 1


def test_too_few_texts_prove_nothing(registry: Path, texts: Path) -> None:
    arguments = ["--registry", str(registry), "--model", "tiny", "--texts", str(texts)]
    result = CliRunner().invoke(flips.app, arguments)
    assert result.exit_code == 2
    assert "fewer than 3000" in result.output


def test_overload_is_measured_beside_the_capacity(registry: Path, texts: Path, tmp_path: Path) -> None:
    options = ["--loads", "0.5", "--rounds", "1", "--seconds", "1", "--priorities"]
    run(overload.app, registry, texts, tmp_path, *options)
    report = json.loads((tmp_path / "overload-tiny.json").read_text(encoding="utf-8"))
    assert len(report["capacities"]) == 1
    assert [each["priority"] for each in report["volleys"]] == ["all", "low", "normal", "high"]
    assert report["volleys"][0]["goodput"] > 0


def test_a_soak_checks_every_answer_through_swaps(registry: Path, texts: Path, tmp_path: Path) -> None:
    options = ["--seconds", "6", "--load", "0.3", "--swap-seconds", "2.5", "--most", "200"]
    run(soak.app, registry, texts, tmp_path, *options)
    result = json.loads((tmp_path / "soak-tiny.json").read_text(encoding="utf-8"))["result"]
    assert result["verdict"] == []
    assert result["right"] > 0
    assert set(result["versions"]) == {"1", "2"}
    assert result["memory_growth"] is None, "too short to judge"
