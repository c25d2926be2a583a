"""A sentence encoder from a file of pairs to answers, as `make run` does it, also when its training is killed on the way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file

from tests.e2e.test_quickstart import free_ports
from tests.e2e.test_resume_after_kill import kill_in_mid_epoch
from tests.fakes.commands import finished, python_m
from tests.fakes.tiny_encoder import write_tiny_encoder
from tests.fakes.tiny_pairs import pair_rows, write_json_lines

BATCH = 4


def command(data: Path, encoder: Path, out: Path) -> list[str]:
    fit = ["training", "fit", "--data", str(data), "--name", "near", "--model", str(encoder)]
    options = ["--task", "embedding", "--epochs", "6", "--batch-size", str(BATCH), "--learning-rate", "1e-3"]
    more = ["--hard-negatives", "1", "--early-stopping-patience", "99", "--checkpoint-every-s", "0.5", "--threads", "1"]
    return [*fit, "--out", str(out), *options, *more]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs, a tiny encoder, and the run `whole/near` that was trained on them."""
    made = tmp_path_factory.mktemp("embedding")
    write_json_lines(made / "pairs.jsonl", pair_rows(340))
    write_tiny_encoder(made / "encoder")
    shown = finished(*command(made / "pairs.jsonl", made / "encoder", made / "whole"))
    assert "MRR@10" in shown
    assert "test, before training" in shown
    return made


def test_a_killed_run_resumes_and_ends_with_the_same_weights(folder: Path, tmp_path: Path) -> None:
    again = command(folder / "pairs.jsonl", folder / "encoder", tmp_path)
    rows = len((folder / "whole" / "near" / "data" / "train.jsonl").read_text(encoding="utf-8").splitlines())
    step = kill_in_mid_epoch(again, tmp_path / "near" / "trainer", -(-rows // BATCH))

    output = finished(*again)

    assert int(output.partition("resuming from checkpoint-")[2].split()[0]) >= step
    runs = (folder / "whole" / "near", tmp_path / "near")
    records = [json.loads((run / "run.json").read_text(encoding="utf-8")) for run in runs]
    assert records[0]["metrics"] == records[1]["metrics"]
    expected, actual = (load_file(run / "checkpoint" / "model.safetensors") for run in runs)
    assert expected.keys() == actual.keys()
    assert all(bool((expected[key] == actual[key]).all()) for key in expected)
    assert "data, settings and code are those of" in finished(*again)


def test_the_run_is_published_and_shown_answering(folder: Path, tmp_path: Path) -> None:
    run, registry = folder / "whole" / "near", tmp_path / "models"
    export = ["export", "bundle", "--run", str(run), "--registry", str(registry)]
    published = python_m(*export, "--label", "stable", "--min-agreement", "0.5")
    assert "published near version 1 (stable)" in published
    assert "test MRR@10" in published
    assert "reused near version 1" in finished(*export, "--label", "stable", "--min-agreement", "0.5")
    port, metrics_port = map(str, free_ports())
    ports = ["--port", port, "--metrics-port", metrics_port]
    shown = python_m("services.quickstart", "--run", str(run), "--registry", str(registry), *ports, "--once")
    assert "of 8 held-out texts find one that belongs with them" in shown
    assert "✓" in shown
    assert f"examples/python/score.py 127.0.0.1:{port} near" in shown
    assert "InferenceService/Score" in shown
    assert "% MRR@10" in finished("export", "list", "--registry", str(registry))
