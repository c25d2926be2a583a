"""`python -m benchmarks.exporting`: a run's published variants beside Optimum's own default int8 file and PyTorch."""

from __future__ import annotations

import random
import sys
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.contenders import Contender, contenders
from benchmarks.pages import columns, listed, of_host, write_pages
from benchmarks.races import Race, races
from export.comparisons import comparison_of
from export.failures import ExportFailure
from export.rows import Row, tokenize
from training.dataset import Split
from training.failures import TrainingFailure
from training.run import RunDirectory, RunRecord
from training.tagging.words import with_words

COLUMNS = (
    "file",
    "MB",
    "times Optimum, batches of 8",
    "alone",
    "texts/s in batches",
    "ms alone",
    "test score",
    "agrees with PyTorch",
    "changed by company",
)
EXPLANATION = """\
One thread each, tokenization not included, all in turns, round after round; times are processor time of that thread,
ratios those of one round, as median (lowest to highest). Batches of 8 hold texts of like length. Optimum's file is what
its quantizer makes of the same graph by default: dynamic int8 for this processor. Score and agreement are of every test
row, each computed alone; changed by company are answers that differ in shuffled batches of 8."""


def main(
    run: Annotated[list[Path], typer.Option(help="A complete run that was exported; several are measured in turns.")],
    registry: Annotated[str, typer.Option(help="Where its bundle is.")] = "models",
    rows: Annotated[int, typer.Option(help="Test rows to time, at most.", min=16)] = 256,
    rounds: Annotated[int, typer.Option(help="Rounds of each.", min=1)] = 7,
    out: Annotated[Path, typer.Option(help="Folder for the report.")] = Path("build/bench"),
) -> None:
    """Compare the stable version of each run's model with Optimum's default int8 file and with PyTorch."""
    from benchmarks.host import facts

    host = facts()
    parts, content = [], {}
    try:
        for each in run:
            table, measured = _measured(RunDirectory(each), registry, rows, rounds)
            print(f"{each.name}\n{table}\n")
            parts.append(f"## {each.name}\n\n{table}")
            content[each.name] = measured
    except (ExportFailure, TrainingFailure) as error:
        sys.stderr.write(f"benchmark: {error}\n")
        raise typer.Exit(2) from None
    page = {"rows timed": rows, "rounds": rounds, **of_host(host)}
    body = "\n\n".join(["# Export", *parts, EXPLANATION, listed(page)])
    stored = {"time": datetime.now(UTC).isoformat(timespec="seconds"), **page, "runs": content}
    for path in write_pages(out, "export", stored, body + "\n"):
        print(path)


def _measured(directory: RunDirectory, registry: str, count: int, rounds: int) -> tuple[str, list[dict[str, object]]]:
    from export.reuse import complete_run

    record = complete_run(directory)
    with tempfile.TemporaryDirectory(prefix="bertline-bench-") as folder:
        against = contenders(directory, record, registry, Path(folder))
        test, right = _test_rows(directory, record)
        drawn = sorted(random.Random(13).sample(test, min(count, len(test))), key=lambda row: len(row.ids))
        found = races(against, drawn, rounds, test, right, comparison_of(record))
    pace = next(each for each in found if each.name == Contender.OPTIMUM)
    return columns(COLUMNS, [_line(each, pace) for each in found]), [asdict(each) for each in found]


def _test_rows(directory: RunDirectory, record: RunRecord) -> tuple[list[Row], object]:
    tokenizer = directory.checkpoint / "tokenizer.json"
    examples = with_words(list(directory.examples(Split.TEST)), tokenizer, record.max_length)
    return tokenize(examples, tokenizer, record.max_length), comparison_of(record).right(examples)


def _line(race: Race, pace: Race) -> list[str]:
    return [
        race.name,
        "" if race.size_bytes is None else f"{race.size_bytes / 1e6:.1f}",
        race.batched.against(pace.batched),
        race.alone.against(pace.alone),
        f"{race.batched.rate:.0f}",
        f"{1e3 / race.alone.rate:.2f}",
        f"{100 * race.score:.2f} %",
        f"{100 * race.agreement:.2f} %",
        f"{100 * race.drift:.2f} %",
    ]


if __name__ == "__main__":
    typer.run(main)
