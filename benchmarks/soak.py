"""`python -m benchmarks.soak`: more load than the server can bear, of every kind, for a long time, with every answer checked."""

from __future__ import annotations

import dataclasses
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.server_process import ServerFailed
from benchmarks.texts import Deck, NoTexts, read_texts

EXPLANATION = """\
Calls arrive at random (Poisson) at {load:g} times the capacity of {capacity:.0f} calls/s: 8 % malformed in {kinds} ways; of the
others 15 % over the Open Inference Protocol, 5 % given up within 0.2 s, 5 % with deadlines below 21 ms. The label "stable" moves
every {swap:g} s between two versions, and every answer is checked against the label that its version gives in process."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    model: Annotated[str, typer.Option(help="Name of a published classifier of single texts.")],
    registry: Annotated[str, typer.Option(help="Folder or fsspec URL of the registry.")] = "models",
    texts: Annotated[
        Path | None,
        typer.Option(
            help="CSV or JSON lines with a column named text.", show_default="training split of the model's run"
        ),
    ] = None,
    seconds: Annotated[float, typer.Option(help="How long.", min=5.0)] = 600.0,
    load: Annotated[float, typer.Option(help="Multiple of the capacity.", min=0.1)] = 1.5,
    swap_seconds: Annotated[float, typer.Option(help="Between swaps of the version; 0: none.", min=0.0)] = 20.0,
    most: Annotated[int, typer.Option(help="Distinct texts, at most.", min=1)] = 2000,
    processes: Annotated[int, typer.Option(help="Processes of the server.", min=1)] = 1,
    out: Annotated[Path, typer.Option(help="Folder for the report and the server's log.")] = Path("build/bench"),
) -> None:
    """Exits with 1 on a wrong answer, a hang, an unexpected status, a swap that is not followed, or memory that grows."""
    from benchmarks.host import facts
    from benchmarks.malformed import kinds
    from benchmarks.pages import listed, of_host, write_pages
    from benchmarks.serving import tell
    from benchmarks.soak_course import soak
    from export.failures import ExportFailure

    host = facts()
    source = texts or Path("runs") / model / "data" / "train.jsonl"
    try:
        known = read_texts(source)
        chosen = [known[number] for number in Deck(len(known)).hand(min(most, len(known)))]
        result = soak(registry, model, chosen, seconds, load, swap_seconds, processes, out, tell)
    except (NoTexts, ServerFailed, ExportFailure) as error:
        sys.stderr.write(f"benchmark: {error}\n")
        raise typer.Exit(2) from None
    page = {
        "verdict": "passed" if not result.verdict else "FAILED: " + "; ".join(result.verdict),
        **result.lines(),
        "server processes": processes,
        **of_host(host),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    explained = EXPLANATION.format(load=load, capacity=result.capacity, kinds=len(kinds(model)), swap=swap_seconds)
    faults = "\n".join(f"- {fault}" for fault in result.faults)
    text = f"# Soak of {model}, {seconds:g} s\n\n{explained}\n\n{listed(page)}\n"
    text += f"\n## First faults\n\n{faults}\n" if faults else ""
    print(text)
    content = {**page, "host": dataclasses.asdict(host), "result": dataclasses.asdict(result)}
    for path in write_pages(out, f"soak-{model}", content, text):
        print(path)
    raise typer.Exit(1 if result.verdict else 0)


if __name__ == "__main__":
    app()
