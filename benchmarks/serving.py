"""`python -m benchmarks.serving`: the inference server against the in-process limit of the same model, in one run."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmarks.server_process import ServerFailed, ServerProcess, inference
from benchmarks.texts import NoTexts, read_texts

if TYPE_CHECKING:
    from benchmarks.limit import Limit
    from benchmarks.report import Report
    from export.bundle import Bundle

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    model: Annotated[str, typer.Option(help="Name of a published model.")],
    registry: Annotated[str, typer.Option(help="Folder or fsspec URL of the registry.")] = "models",
    texts: Annotated[
        Path | None,
        typer.Option(help="CSV or JSON lines with a column named text.", show_default="test split of the model's run"),
    ] = None,
    callers: Annotated[str, typer.Option(help="Levels of concurrency, comma-separated.")] = "1,32,128",
    texts_per_call: Annotated[int, typer.Option(help="Texts that each call carries.", min=1)] = 1,
    rounds: Annotated[int, typer.Option(help="Windows a level, each beside one of the limit.", min=1)] = 3,
    seconds: Annotated[float, typer.Option(help="Length of a window.", min=1.0)] = 20.0,
    processes: Annotated[int, typer.Option(help="Processes of the server.", min=1)] = 1,
    out: Annotated[Path, typer.Option(help="Folder for the report and the server's log.")] = Path("build/bench"),
) -> None:
    """Compare the server's texts/s and latency with the in-process limit of the same ONNX file.

    Exits with 1 when calls failed or answers were wrong.
    """
    from benchmarks.report import contention, lone_line, table, write
    from export.failures import ExportFailure

    source = texts or Path("runs") / model / "data" / "test.jsonl"
    try:
        report = compare(registry, model, source, _levels(callers), texts_per_call, rounds, seconds, processes, out)
    except (NoTexts, ServerFailed, ExportFailure) as error:
        sys.stderr.write(f"benchmark: {error}\n")
        raise typer.Exit(2) from None
    cores = report.host.cores
    print(f"{table(report.levels, cores)}\n\nlimit: {report.layout}; answers as in process: {report.agreement:.1%}")
    if report.lone:
        print(lone_line(report.lone))
    if caution := contention(report.levels, cores):
        print(caution)
    stem = source.stem if source.stem not in {"train", "test"} else source.resolve().parent.name
    calls = "" if texts_per_call == 1 else f"-{texts_per_call}-a-call"
    for path in write(report, out, f"serving-{model}-{stem}{calls}"):
        print(path)
    raise typer.Exit(1 if any(level.errors for level in report.levels) else 0)


def compare(
    registry: str,
    model: str,
    source: Path,
    callers: list[int],
    texts_per_call: int,
    rounds: int,
    seconds: float,
    processes: int,
    out: Path,
) -> Report:
    """Runs the whole comparison. Raises NoTexts, ServerFailed or ExportFailure."""
    from benchmarks import server_metrics
    from benchmarks.comparison import Comparison
    from benchmarks.host import facts
    from benchmarks.messages import request
    from benchmarks.report import Report
    from export.registry import Registry

    host = facts()
    texts = read_texts(source)
    log = out / "server.log"
    with inference(registry, model, log, processes) as server:
        version, variant = identify(server, request(model, texts[0]), log)
        bundle = Registry(registry).open(model, version)
        limit = _limit(bundle, variant)

        def counters() -> server_metrics.Counters:
            return server_metrics.read(server.metrics_port)

        comparison = Comparison(model, texts, texts_per_call, limit, server, bundle.manifest.labels, counters)
        tell("choosing the layout of the limit")
        comparison.prepare(seconds)
        warm = server.memory_bytes()
        levels = []
        for number in callers:
            tell(f"{number} callers")
            levels.append(comparison.level(number, seconds, rounds))
        alone = None
        if 1 in callers and texts_per_call == 1:
            tell("one caller beside the bare session")
            alone = comparison.lone(seconds * rounds)
        end = server.memory_bytes()
    return Report(
        model=model,
        version=version,
        variant=variant,
        texts=source.name,
        distinct_texts=len(texts),
        texts_per_call=texts_per_call,
        layout=str(limit.layout),
        grid={str(layout): rate for layout, rate in limit.grid.items()},
        agreement=comparison.agreement(),
        host=host,
        create_time=datetime.now(UTC).isoformat(timespec="seconds"),
        levels=levels,
        rounds=rounds,
        seconds=seconds,
        processes=processes,
        memory_warm=warm,
        memory_end=end,
        lone=alone,
    )


def _levels(callers: str) -> list[int]:
    try:
        levels = [int(each) for each in callers.split(",")]
    except ValueError:
        levels = []
    if not levels or min(levels) < 1:
        raise typer.BadParameter(f"--callers {callers!r} is not a list of numbers such as 1,32,128")
    return levels


def identify(server: ServerProcess, request: bytes, log: Path) -> tuple[int, str]:
    """Version and variant that the server answers with."""
    from benchmarks.generator import Generator
    from benchmarks.messages import PATH, served

    with Generator(server.address, PATH, callers=1) as generator:
        first = generator.call(request)
    if first.status:
        raise ServerFailed(f"the first call ended with gRPC status {first.status}; the server's output is in {log}")
    return served(first)


def _limit(bundle: Bundle, variant: str) -> Limit:
    from benchmarks.limit import Limit, Model

    manifest = bundle.manifest
    graph = next(each.file for each in manifest.variants if each.name == variant)
    model = Model(bundle.file(graph), bundle.file(manifest.tokenizer), manifest.max_length, manifest.pad_token_id)
    return Limit(model)


def tell(step: str) -> None:
    """Says on stderr what is being done."""
    sys.stderr.write(f"benchmark: {step}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    app()
