"""`python -m benchmarks.training`: how fast `fit` trains, beside the plain recipe of a tutorial on the same rows."""

from __future__ import annotations

import csv
import json
import os
import random
import sys
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Annotated

import typer

from benchmarks.pages import columns, listed, of_host, write_pages
from training.dataset import Split
from training.measured_fit import measured_fit
from training.measured_process import run_measured
from training.run import RunDirectory

MIB = 1 << 20
COLUMNS = ("recipe", "rows/s", "slowest to fastest", "times plain", "peak memory")
EXPLANATION = """\
One epoch of the same training rows, in turns, each in a process of its own. `fit` runs with its default settings, and its
time holds the scoring of the validation rows; the plain recipe is transformers' Trainer with its defaults, every row
padded to 128 tokens, batches of 16, no grouping by length, and validates nothing. Peak memory is that of the whole
process, libraries and data included."""


class RunFailed(Exception):
    """A recipe ended with an error, which stands above on the terminal."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch of one recipe."""

    rows: int
    seconds: float
    peak_bytes: int

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self.rows / self.seconds


def main(
    data: Annotated[Path, typer.Option(help="csv, tsv, jsonl or parquet file of labelled texts.")],
    model: Annotated[str, typer.Option(help="`minilm` (packaged), a hub id, or a folder.")] = "minilm",
    rows: Annotated[int, typer.Option(help="Rows of the data to take, at most.", min=100)] = 2500,
    rounds: Annotated[int, typer.Option(help="Epochs of each recipe.", min=1)] = 3,
    threads: Annotated[int, typer.Option(help="CPU threads for torch.", show_default="all")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for the report.")] = Path("build/bench"),
) -> None:
    """Compare the training speed of `fit` with that of the plain recipe."""
    from benchmarks.host import facts
    from benchmarks.serving import tell
    from training.failures import TrainingFailure

    threads = threads or len(os.sched_getaffinity(0))
    host = facts()
    fits: list[Epoch] = []
    plains: list[Epoch] = []
    try:
        with tempfile.TemporaryDirectory(prefix="bertline-bench-") as folder:
            sample = _sample(data, rows, Path(folder) / "rows.csv")
            for number in range(rounds):
                tell(f"round {number + 1} of {rounds}: fit")
                fits.append(_fit(sample, model, threads, Path(folder)))
                tell(f"round {number + 1} of {rounds}: plain recipe")
                plains.append(_plain(model, threads, Path(folder)))
    except (TrainingFailure, RunFailed) as error:
        sys.stderr.write(f"benchmark: {error}\n")
        raise typer.Exit(2) from None
    table = columns(COLUMNS, [_row("fit", fits, plains), _row("plain", plains, plains)])
    print(table)
    page = {"data": str(data), "model": model, "training rows": fits[0].rows, "threads": threads, **of_host(host)}
    text = f"# Training speed\n\n{table}\n\n{EXPLANATION}\n\n{listed(page)}\n"
    epochs = {"fit": [asdict(each) for each in fits], "plain": [asdict(each) for each in plains]}
    content = {"time": datetime.now(UTC).isoformat(timespec="seconds"), **page, "epochs": epochs}
    for path in write_pages(out, "training", content, text):
        print(path)


def _sample(data: Path, rows: int, target: Path) -> Path:
    """Some rows of the data, always the same, as a csv file; of labels that keep enough of them."""
    from training.data_settings import DataSettings
    from training.preparation import distinct_rows

    found = distinct_rows(DataSettings(path=str(data), drop_rare_classes=True), lambda *_: None).examples
    drawn = random.Random(13).sample(found, min(rows, len(found)))
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows((example.text, example.label) for example in drawn)
    return target


def _fit(sample: Path, model: str, threads: int, folder: Path) -> Epoch:
    run = RunDirectory(folder / "fit")
    options = ["--data", str(sample), "--model", model, "--epochs", "1", "--threads", str(threads)]
    fit = measured_fit(run, [*options, "--drop-rare-classes"])
    if fit is None:
        raise RunFailed("fit could not train; what it said stands above")
    rows = sum(1 for _ in run.examples(Split.TRAIN))
    return Epoch(rows, fit.effort.seconds_per_epoch, fit.peak_bytes)


def _plain(model: str, threads: int, folder: Path) -> Epoch:
    from training.encoders import find_encoder

    result = folder / "plain.json"
    options = {
        "--rows": str(folder / "fit" / "data" / "train.jsonl"),
        "--encoder": find_encoder(model).location,
        "--out": str(result),
        "--threads": str(threads),
    }
    command = [sys.executable, "-m", "benchmarks.plain_recipe", *(part for pair in options.items() for part in pair)]
    ended = run_measured(command)
    if ended.exit_code:
        raise RunFailed("the plain recipe could not train; what it said stands above")
    measured = json.loads(result.read_text(encoding="utf-8"))
    return Epoch(measured["rows"], measured["seconds"], ended.peak_bytes)


def _row(name: str, epochs: list[Epoch], plain: list[Epoch]) -> list[str]:
    rates = sorted(each.rate for each in epochs)
    times = median(rates) / median(each.rate for each in plain)
    peak = max(each.peak_bytes for each in epochs)
    return [
        name,
        f"{median(rates):.1f}",
        f"{rates[0]:.1f} to {rates[-1]:.1f}",
        f"{times:.2f}",
        f"{peak / MIB:,.0f} MiB",
    ]


if __name__ == "__main__":
    typer.run(main)
