"""`python -m benchmarks.serving`: the inference server against the in-process limit of the same model, in one run."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.generator import Call, Generator, Window
from benchmarks.level import Level, level
from benchmarks.limit import Limit, Model, Rate
from benchmarks.server_process import ServerFailed, ServerProcess, free_port, inference_command, running
from benchmarks.texts import Deck, NoTexts, Text, read_texts

LIMIT_SECONDS = 2.0
RAMP_SECONDS = 0.5
ROUNDS = 2
SAMPLE = 64

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class Comparison:
    """Alternates short windows of load with measurements of the limit, so that noise of a shared machine shows as spread."""

    def __init__(self, texts: list[Text], requests: list[bytes], limit: Limit, server: ServerProcess, labels: list[str]) -> None:
        self._texts = texts
        self._requests = requests
        self._limit = limit
        self._server = server
        self._labels = labels
        self._deck = Deck(len(texts))
        self._limits: list[Rate] = []
        self._count = 64
        self.sample: list[Call] = []

    def prepare(self) -> None:
        """Chooses the limit's layout and measures it a first time."""
        layout = self._limit.choose(self._draw)
        self._count = max(64, int(self._limit.grid[layout] * LIMIT_SECONDS))
        self._measure_limit()

    def level(self, callers: int, seconds: float) -> Level:
        """Measures one number of callers."""
        from benchmarks.messages import PATH, wrong

        windows: list[Window] = []
        with Generator(self._server.address, PATH, callers, self._server.cpu_seconds) as generator:
            for _ in range(ROUNDS):
                requests = ((number, self._requests[number]) for number in self._deck.deal())
                windows.append(generator.run(requests, seconds / ROUNDS, RAMP_SECONDS))
                self._measure_limit()
        calls = list(chain.from_iterable(window.completed for window in windows))
        self.sample += calls[:: max(1, len(calls) // SAMPLE)]
        return level(callers, windows, self._limits[-ROUNDS - 1 :], wrong(calls, self._labels))

    def agreement(self) -> float:
        """Share of the sampled answers whose label is the one that the model gives in process."""
        from benchmarks.messages import answer

        same = 0
        for call in self.sample:
            expected = self._labels[int(self._limit.logits(self._texts[call.item]).argmax())]
            found = answer(call)
            same += found is not None and found.label == expected
        return same / max(1, len(self.sample))

    def _measure_limit(self) -> None:
        self._limits.append(self._limit.measure(self._draw(self._count)))

    def _draw(self, count: int) -> list[Text]:
        return [self._texts[number] for number in self._deck.hand(count)]


@app.command()
def main(
    model: Annotated[str, typer.Option(help="Name of a published model.")],
    registry: Annotated[str, typer.Option(help="Folder or fsspec URL of the registry.")] = "models",
    texts: Annotated[
        Path | None,
        typer.Option(help="CSV or JSON lines with a column named text.", show_default="test split of the model's run"),
    ] = None,
    callers: Annotated[str, typer.Option(help="Levels of concurrency, comma-separated.")] = "1,8,32,128",
    seconds: Annotated[float, typer.Option(help="Measured seconds a level.", min=1.0)] = 8.0,
    out: Annotated[Path, typer.Option(help="Folder for the report and the server's log.")] = Path("build/bench"),
) -> None:
    """Measure texts/s and latency of the real server, and how much of the in-process limit of the same ONNX file it reaches."""
    from export.failures import ExportFailure

    try:
        levels = [int(each) for each in callers.split(",")]
    except ValueError:
        raise typer.BadParameter(f"{callers!r} is not a list of numbers such as 1,8,32,128") from None
    source = texts or Path("runs") / model / "data" / "test.jsonl"
    try:
        failed = compare(registry, model, source, levels, seconds, out)
    except (NoTexts, ServerFailed, ExportFailure) as error:
        sys.stderr.write(f"benchmark: {error}\n")
        raise typer.Exit(2) from None
    raise typer.Exit(1 if failed else 0)


def compare(registry: str, model: str, source: Path, callers: list[int], seconds: float, out: Path) -> bool:
    """Runs the whole comparison, prints and writes the report; True when calls failed or answers were wrong."""
    from benchmarks import messages, report
    from benchmarks.host import facts
    from export.registry import Registry

    host = facts()
    texts = read_texts(source)
    requests = [messages.request(model, text) for text in texts]
    port = free_port()
    command = inference_command(registry, model, port, free_port())
    with running(command, port, out / "server.log") as server:
        with Generator(server.address, messages.PATH, 1) as generator:
            first = generator.call(requests[0])
        if first.status:
            raise ServerFailed(f"the first call ended with gRPC status {first.status}; the server's output is in {out}/server.log")
        version, variant = messages.served(first)
        bundle = Registry(registry).open(model, version)
        manifest = bundle.manifest
        graph = next(each.file for each in manifest.variants if each.name == variant)
        files = Model(bundle.file(graph), bundle.file(manifest.tokenizer), manifest.max_length, manifest.pad_token_id)
        comparison = Comparison(texts, requests, Limit(files), server, manifest.labels)
        comparison.prepare()
        measured = []
        for number in callers:
            print(f"{number} callers ...", file=sys.stderr, flush=True)
            measured.append(comparison.level(number, seconds))
        ...
