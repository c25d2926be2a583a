"""`python -m export encoder`, and a server that answers Embed and Score with what it made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from export.encoder_model import open_encoder
from export.registry import Registry
from export.rows import tokenize
from services.clients import Embedded, InferenceClient, Options, Scored, Windows
from services.inference.settings import InferenceSettings
from tests.fakes.commands import ended, finished, python_m
from tests.fakes.running_server import running_server
from tests.fakes.tiny_encoder import toy_rows, write_rows, write_tiny_encoder
from training.dataset import Example


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny encoder, texts, and the registry that the encoder was exported to."""
    made = tmp_path_factory.mktemp("encoder")
    write_tiny_encoder(made / "encoder")
    write_rows(made / "texts.csv", toy_rows(120))
    assert "published toy version 1" in python_m(*command(made))
    return made


def command(folder: Path, *options: str) -> list[str]:
    export = ["export", "encoder", "--name", "toy", "--model", str(folder / "encoder")]
    export += ["--registry", str(folder / "models"), "--texts", str(folder / "texts.csv"), "--label", "stable"]
    return [*export, "--pooling", "mean", *options]


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[InferenceClient]:
    settings = InferenceSettings(registry=str(folder / "models"), port=0)
    with running_server(settings) as target, InferenceClient(target) as made:
        yield made


def test_the_bundle_says_how_near_it_is_to_the_checkpoint(folder: Path) -> None:
    bundle = Registry(str(folder / "models")).open("toy", 1)
    manifest = bundle.manifest
    assert (manifest.task, manifest.width, manifest.labels, manifest.calibration) == ("embedding", 32, [], None)
    float32 = next(variant for variant in manifest.variants if variant.name == "fp32")
    assert float32.parity.max_logit_difference < 1e-4
    assert (float32.parity.min_cosine or 0.0) > 0.9999
    shapes = {"mixed lengths", "left padding", "mask with holes", "length 1", "length 2", "length 8", "length 64"}
    assert set(float32.parity.shapes_checked) == shapes
    assert "| fp32 |" in bundle.file(manifest.model_card).read_text(encoding="utf-8")
    assert all(variant.parity.passed for variant in manifest.variants)


def test_the_server_gives_the_checkpoints_vectors(folder: Path, client: InferenceClient, tmp_path: Path) -> None:
    texts = ["the team won a match today", "bank", "球队比赛", "goal " * 100]
    encoder = open_encoder(str(folder / "encoder"), "mean", None, tmp_path)
    rows = tokenize([Example(text, "") for text in texts], encoder.tokenizer, encoder.max_length)
    with torch.inference_mode():
        expected = torch.nn.functional.normalize(torch.from_numpy(encoder.vectors(rows))).numpy()
    reply = client.embed(texts, model="toy")
    for result, wanted in zip(reply.results, expected, strict=True):
        assert isinstance(result, Embedded)
        least = 0.9999 if reply.variant == "fp32" else 0.95
        assert float(np.array(result.vector) @ wanted) > least
    assert [result.truncated for result in reply.results if isinstance(result, Embedded)] == [False] * 3 + [True]


def test_a_text_is_nearest_to_itself_and_long_ones_are_read_whole(client: InferenceClient) -> None:
    candidates = ["bank rate fell", "the team won a match", "goal " * 200]
    options = Options(windows=Windows())
    results = client.score("the team won a match", candidates, model="toy", options=options).results
    assert all(isinstance(result, Scored) for result in results)
    first = results[0]
    assert isinstance(first, Scored)
    assert (first.index, first.score) == (1, pytest.approx(1.0, abs=1e-3))
    assert max(result.window_count for result in results if isinstance(result, Scored)) > 3


def test_the_same_encoder_and_texts_are_not_exported_again(folder: Path) -> None:
    assert "reused toy version 1" in finished(*command(folder))
    shown = finished("export", "show", "toy", "--registry", str(folder / "models"))
    assert "vectors of 32 elements" in shown


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--max-length", "65"], "must be 8 to 64"),
        (["--pooling", "sum"], "pooling"),
        (["--texts", "no-such-file.csv"], "does not exist"),
        (["--model", "./no-such-folder"], "does not exist"),
    ],
)
def test_what_the_user_can_mend_is_said_without_a_traceback(folder: Path, options: list[str], part: str) -> None:
    done = ended(*command(folder, *options))
    assert done.status == 2
    assert part in done.output
    assert "Traceback" not in done.output
