"""`python -m services.quickstart`: starts the server on a fresh model, shows it answering, keeps serving."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from services.clients import CallFailed, Classified, InferenceClient
from services.quickstart.child import InferenceProcess, ServerDied
from services.quickstart.samples import Sample, pick

app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)
console = Console(width=None if sys.stdout.isatty() else 140)


@app.command()
def main(
    run: Annotated[Path, typer.Option(help="Run whose test rows are shown, such as runs/news.")],
    registry: Annotated[str, typer.Option(help="Registry to serve.")] = "models",
    port: Annotated[int, typer.Option(help="gRPC port.")] = 50051,
    metrics_port: Annotated[int, typer.Option(help="Port of /metrics.")] = 9090,
    texts: Annotated[int, typer.Option(help="How many texts to send.")] = 8,
    once: Annotated[bool, typer.Option("--once", help="Stop after the table.")] = False,
) -> None:
    """Serve, send a few held-out texts through the client, print what came back, serve on until Ctrl-C."""
    model = run.name
    target = f"127.0.0.1:{port}"
    arguments = ["--registry", registry, "--port", str(port), "--metrics-port", str(metrics_port)]
    server = InferenceProcess(arguments, target, Path("build/inference.log"))
    code = 0
    try:
        seconds = server.wait_until_serving()
        console.print(f"serving on [bold]{target}[/] after {seconds:.1f} s")
        _show(target, model, pick(run / "data" / "test.jsonl", texts))
        _where_next(target, model, metrics_port, run)
        if not once:
            console.print("[bold]Ctrl-C[/] drains and stops.")
            code = server.wait()
            console.print(
                f"[red]the server ended by itself[/] (code {code}); its log: {server.log}\n{server.last_lines()}"
            )
    except (ServerDied, CallFailed) as error:
        console.print(f"[red]error[/] {escape(str(error))}")
        code = 2
    except KeyboardInterrupt:
        console.print("\ndraining ...")
    finally:
        ended = server.drain()
    if code == 0 and ended == 0:
        console.print("stopped; every call was answered")
    raise typer.Exit(code or ended)


def _show(target: str, model: str, samples: list[Sample]) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("text", no_wrap=True, overflow="ellipsis", max_width=72)
    for name, justify in (
        ("label", "left"),
        ("probability", "right"),
        ("held-out label", "left"),
        ("latency", "right"),
    ):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]  # a literal, from the tuple above
    with InferenceClient(target) as client:
        client.classify([samples[0].text], model=model)  # the first call also opens the connection
        served = ""
        for sample in samples:
            begun = time.perf_counter()
            text = sample.text if sample.text_pair is None else (sample.text, sample.text_pair)
            reply = client.classify([text], model=model)
            latency = 1000 * (time.perf_counter() - begun)
            served = f"{reply.model} version {reply.version}, {reply.variant}"
            result = reply.results[0]
            if isinstance(result, Classified):
                right = result.best.name == sample.label
                mark = "[green]as predicted[/]" if right else f"[yellow]{escape(sample.label)}[/]"
                probability = f"{100 * result.best.probability:.1f} %"
                table.add_row(escape(sample.text), escape(result.best.name), probability, mark, f"{latency:.1f} ms")
            else:
                table.add_row(escape(sample.text), f"[red]{result.details.reason}[/]", "", "", f"{latency:.1f} ms")
    console.print(f"answers of [bold]{served}[/]:")
    console.print(table)


def _where_next(target: str, model: str, metrics_port: int, run: Path) -> None:
    lines = [
        "Where to go next:",
        f"  from Python   examples/python/classify.py {target} {model}",
        f"  from Node     examples/node/classify.js {target} {model}",
        '  from a shell  buf curl --protocol grpc --http2-prior-knowledge --reflect -d \'{"inputs":[{"text":"..."}]}\' \\',
        f"                http://{target}/bertline.inference.v1.InferenceService/Classify",
        f"  metrics       http://127.0.0.1:{metrics_port}/metrics",
        f"  data report   {run / 'data' / 'report.html'}",
        f"  evaluation    {run / 'evaluation'}",
        f"  training log  tensorboard --logdir {run / 'trainer' / 'tensorboard'}",
        "  your own data make run DATA=my.csv NAME=intents",
    ]
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


if __name__ == "__main__":
    app()
