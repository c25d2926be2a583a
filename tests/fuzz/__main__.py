"""`python -m tests.fuzz`: random requests, bytes and frames against a real server, which must go on answering."""

from __future__ import annotations

import sys
import time
from itertools import chain, repeat
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    seconds: Annotated[float, typer.Option(help="How long, at least.", min=1.0)] = 300.0,
    first_seed: Annotated[int, typer.Option(help="Other seeds, other examples.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for the server's log and for what was found.")] = Path("build/fuzz"),
) -> None:
    """Fuzz every RPC. Exits with 1 when the server broke, hung, died, or answered a proper call wrongly."""
    from itertools import count

    from tests.fuzz.campaign import Campaign
    from tests.fuzz.target import Unwell, target

    out.mkdir(parents=True, exist_ok=True)
    with target(out / "server.log") as server:
        campaign = Campaign(server, out, _seeds=count(first_seed))
        until = time.monotonic() + seconds
        begun, warm = time.monotonic(), server.server.memory_bytes()
        try:
            for name, work in chain.from_iterable(repeat(campaign.batches())):
                if time.monotonic() >= until:
                    break
                sys.stderr.write(f"\rfuzz: {time.monotonic() - begun:4.0f} s, {name:80}")
                work()
        except Unwell as error:
            campaign.findings.append(f"after {name}: {error}")
        memory = server.server.memory_bytes()
    sys.stderr.write("\n")
    for path, codes in sorted(campaign.codes.items()):
        typer.echo(f"{path}: " + ", ".join(f"{code} {number}" for code, number in sorted(codes.items())))
    typer.echo(f"server memory: {warm >> 20} MiB at first, {memory >> 20} MiB at the end")
    for finding in campaign.findings:
        typer.echo(f"FOUND {finding}")
    raise typer.Exit(1 if campaign.findings else 0)


if __name__ == "__main__":
    app()
