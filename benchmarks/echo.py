"""`python -m benchmarks.echo`: what Python gRPC alone costs a call on this machine, as server and as load generator."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path
from typing import Annotated

import typer

TEXTS = 1_000
RAMP_SECONDS = 0.5

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    callers: Annotated[int, typer.Option(help="Concurrent callers.", min=1)] = 32,
    seconds: Annotated[float, typer.Option(help="Measured seconds for each row.", min=0.5)] = 3.0,
    out: Annotated[Path, typer.Option(help="Folder for the servers' logs.")] = Path("build/bench"),
    serve: Annotated[str, typer.Option(help="Internal: be the server of this kind.", hidden=True)] = "",
    port: Annotated[int, typer.Option(hidden=True)] = 0,
) -> None:
    """Print the CPU cost of a do-nothing call for each kind of server, and for each kind of client."""
    from benchmarks import echo_server
    from benchmarks.messages import request

    if serve:
        echo_server.serve(next(kind for kind in echo_server.KINDS if kind == serve), port)
        return
    messages = [request("echo", f"I am still waiting for card number {number}?") for number in range(TEXTS)]
    print("| server | calls/s | server us/call | generator us/call | p50 ms |\n|---|---:|---:|---:|---:|")
    for kind in echo_server.KINDS:
        print(_server_row(kind, messages, callers, seconds, out), flush=True)
    print("\n| generator, against the server `aio` | calls/s | generator us/call |\n|---|---:|---:|")
    for row in _generator_rows(messages, callers, seconds, out):
        print(row, flush=True)


def _server_row(kind: str, messages: Sequence[bytes], callers: int, seconds: float, out: Path) -> str:
    from benchmarks.figures import percentile
    from benchmarks.generator import Generator
    from benchmarks.messages import PATH
    from benchmarks.server_process import free_port, running

    port = free_port()
    with (
        running(_command(kind, port), port, out / f"echo-{kind}.log") as server,
        Generator(server.address, PATH, callers, server.cpu_seconds) as generator,
    ):
        window = generator.run(cycle(enumerate(messages)), seconds, RAMP_SECONDS)
    calls = max(1, len(window.completed))
    server_us = (window.end.server_cpu - window.begin.server_cpu) / calls * 1e6
    own_us = (window.end.generator_cpu - window.begin.generator_cpu) / calls * 1e6
    p50 = percentile(sorted(call.ended - call.began for call in window.completed), 0.5) * 1e3
    return f"| {kind} | {calls / window.seconds:.0f} | {server_us:.0f} | {own_us:.0f} | {p50:.2f} |"


def _generator_rows(messages: Sequence[bytes], callers: int, seconds: float, out: Path) -> list[str]:
    from benchmarks import clients
    from benchmarks.generator import Generator
    from benchmarks.messages import PATH
    from benchmarks.server_process import free_port, running

    port = free_port()
    rows = []
    with running(_command("aio", port), port, out / "echo-generators.log") as server:
        with Generator(server.address, PATH, callers) as generator:
            window = generator.run(cycle(enumerate(messages)), seconds, RAMP_SECONDS)
        calls = max(1, len(window.completed))
        own = (window.end.generator_cpu - window.begin.generator_cpu) / calls
        rows.append(_generator_row("this benchmark's", calls / window.seconds, own))
        kinds: dict[str, Callable[[str, str, Sequence[bytes], int, float], clients.Cost]] = {
            "grpc.aio": clients.asynchronous,
            "grpc, one thread a caller": clients.threaded,
        }
        for name, load in kinds.items():
            cost = load(f"127.0.0.1:{port}", PATH, messages, callers, seconds)
            rows.append(_generator_row(name, cost.calls_per_second, cost.cpu_seconds))
    return rows


def _generator_row(name: str, rate: float, cpu_seconds: float) -> str:
    return f"| {name} | {rate:.0f} | {cpu_seconds * 1e6:.0f} |"


def _command(kind: str, port: int) -> list[str]:
    return [sys.executable, "-m", "benchmarks.echo", "--serve", kind, "--port", str(port)]


if __name__ == "__main__":
    app()
