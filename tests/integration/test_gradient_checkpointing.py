"""Gradient checkpointing computes layers twice, and nothing else changes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from rich.console import Console
from safetensors.torch import load_file
from torch.nn.modules.module import register_module_forward_pre_hook

from tests.fakes.tiny_encoder import toy_rows, write_rows, write_tiny_encoder
from training.fine_tuning import fine_tune
from training.reuse import step_fingerprint
from training.run import RunDirectory
from training.settings_reading import load_settings


@contextmanager
def counted_layers() -> Iterator[list[int]]:
    """How often a layer was computed while its model was trained."""
    count = [0]

    def saw(module: torch.nn.Module, _: object) -> None:
        count[0] += type(module).__name__ == "BertLayer" and module.training

    hook = register_module_forward_pre_hook(saw)
    try:
        yield count
    finally:
        hook.remove()


def trained(folder: Path, name: str, configuration: str) -> tuple[dict[str, torch.Tensor], int]:
    (folder / f"{name}.yaml").write_text(configuration, encoding="utf-8")
    flags = {"name": name, "model": str(folder / "encoder"), "epochs": 1, "batch_size": 16}
    settings = load_settings(folder / f"{name}.yaml", flags, {"path": str(folder / "rows.csv")})
    run = RunDirectory(folder / "runs" / name)
    with counted_layers() as count:
        fine_tune(settings, run, step_fingerprint(settings), Console(quiet=True))
    return load_file(run.checkpoint / "model.safetensors"), count[0]


def test_the_weights_are_the_same_and_layers_are_computed_twice(tmp_path: Path) -> None:
    write_tiny_encoder(tmp_path / "encoder")
    write_rows(tmp_path / "rows.csv", toy_rows(80))
    plain, once = trained(tmp_path, "plain", "seed: 3")
    saving, twice = trained(tmp_path, "saving", "seed: 3\ngradient_checkpointing: true")
    assert twice == 2 * once > 0
    for name, tensor in plain.items():
        assert torch.allclose(saving[name], tensor, atol=1e-6)
