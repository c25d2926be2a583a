"""`python -m services.quickstart`: starts the server on a fresh model, shows it answering, keeps serving."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from services.clients import CallFailed, InferenceClient
from services.quickstart.child import InferenceProcess, ServerDied
from services.quickstart.demonstration import Demonstration, demonstration_of
from services.quickstart.samples import NoSamples

LOG = Path("build/inference.log")

app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)


@app.command()
def main(
    run: Annotated[Path, typer.Option(help="Run whose test rows are shown, such as runs/news.")],
    registry: Annotated[str, typer.Option(help="Registry to serve.")] = "models",
    port: Annotated[int, typer.Option(help="gRPC port.", min=1, max=65535)] = 50051,
    metrics_port: Annotated[int, typer.Option(help="Port of /metrics.", min=1, max=65535)] = 9090,
    texts: Annotated[int, typer.Option(help="How many texts to send.", min=1)] = 8,
    once: Annotated[bool, typer.Option("--once", help="Stop after the table.")] = False,
) -> None:
    """Serve, send a few held-out texts through the client, print what came back, serve on until Ctrl-C."""
    console = Console(width=None if sys.stdout.isatty() else 140)
    # whatever ends us must drain the child first, which no signal but ours reaches; a shell that starts us in the
    # background would have us ignore SIGINT
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    server: InferenceProcess | None = None
    code = 0
    try:
        shown = demonstration_of(run)
        samples = shown.pick(run / "data" / "test.jsonl", texts)
        server = InferenceProcess(registry, port, metrics_port, LOG)
        seconds = server.wait_until_serving()
        console.print(f"serving on [bold]{server.target}[/] after {seconds:.1f} s\n")
        with InferenceClient(server.target) as client:
            console.print(shown.answers(client, run.name, samples))
        _where_next(console, server.target, run, metrics_port, shown)
        if not once:
            console.print("\n[bold]Ctrl-C[/] drains and stops.")
            raise ServerDied(f"the server ended by itself, with code {server.wait()}:\n{server.last_lines()}")
    except (NoSamples, ServerDied, CallFailed) as error:
        console.print(f"[red]error[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        code = 2
    except KeyboardInterrupt:
        console.print("\ndraining ...")
    ended = server.drain() if server is not None else 0
    if code == 0 and ended == 0:
        console.print("stopped; every call was answered")
    raise typer.Exit(code or abs(ended))


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _where_next(console: Console, target: str, run: Path, metrics_port: int, shown: Demonstration) -> None:
    python = os.path.relpath(sys.executable) if Path(sys.executable).is_relative_to(Path.cwd()) else sys.executable
    model = run.name
    request = f'{{"model":{{"name":"{model}"}},{shown.asked}}}'
    node = f"  from Node      (cd examples/node && npm ci && node classify.js {target} {model})"
    lines = [
        "\nWhere to go next:",
        f"  from Python    {python} examples/python/{shown.example} {target} {model}",
        *([node] if shown.rpc == "Classify" else []),
        f"  from a shell   buf curl --protocol grpc --http2-prior-knowledge --reflect -d '{request}' \\",
        f"                   http://{target}/bertline.inference.v1.InferenceService/{shown.rpc}   # pip install buf-bin",
        f"  metrics        http://127.0.0.1:{metrics_port}/metrics",
        f"  data report    {run / 'data' / 'report.html'}",
        f"  evaluation     {run / 'evaluation' / 'report.html'}",
        f"  training log   {Path(python).with_name('tensorboard')} --logdir {run / 'trainer'}",
        f"  server log     {LOG}",
        "  your own data  make run DATA=my.csv NAME=intents",
    ]
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


if __name__ == "__main__":
    app()
