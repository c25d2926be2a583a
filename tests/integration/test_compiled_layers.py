"""Compiled layers learn what the others learn, and their weights keep their names."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from tests.fakes.tiny_encoder import toy_rows, write_rows, write_tiny_encoder
from training.compilation import compile_layers
from training.failures import InvalidSettings
from training.fine_tuning import fine_tune
from training.heads import load_encoder
from training.reuse import step_fingerprint
from training.run import RunDirectory
from training.settings_reading import load_settings


def trained(folder: Path, name: str, configuration: str) -> dict[str, torch.Tensor]:
    (folder / f"{name}.yaml").write_text(configuration, encoding="utf-8")
    flags = {"name": name, "model": str(folder / "encoder"), "epochs": 1, "batch_size": 16}
    settings = load_settings(folder / f"{name}.yaml", flags, {"path": str(folder / "rows.csv")})
    run = RunDirectory(folder / "runs" / name)
    fine_tune(settings, run, step_fingerprint(settings), Console(quiet=True))
    return load_file(run.checkpoint / "model.safetensors")


@pytest.mark.filterwarnings("default")  # the compiler has warnings of its own
@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ to compile with")
def test_the_weights_are_those_of_layers_that_are_not_compiled(tmp_path: Path) -> None:
    still = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}  # compiled layers draw other numbers
    config = write_tiny_encoder(tmp_path / "encoder") / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text(encoding="utf-8")), **still}), encoding="utf-8")
    write_rows(tmp_path / "rows.csv", toy_rows(80))
    plain = trained(tmp_path, "plain", "seed: 3\ndropout: 0")
    frames = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    compiled = trained(tmp_path, "compiled", "seed: 3\ndropout: 0\ncompile_layers: true")
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > frames
    assert compiled.keys() == plain.keys()
    for name, tensor in plain.items():
        assert torch.allclose(compiled[name], tensor, atol=1e-4), name


def test_without_a_compiler_the_command_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = load_encoder(str(write_tiny_encoder(tmp_path)))
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InvalidSettings, match=r"there is no no-such-compiler; install a C\+\+ compiler"):
        compile_layers(encoder)


def test_an_encoder_whose_layers_are_not_known_is_refused(tmp_path: Path) -> None:
    encoder = load_encoder(str(write_tiny_encoder(tmp_path)))
    encoder._no_split_modules = None
    with pytest.raises(InvalidSettings, match="a bert encoder does not tell its layers"):
        compile_layers(encoder)
