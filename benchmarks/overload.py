"""`python -m benchmarks.overload`: what the server does when more arrives than it can answer."""

from __future__ import annotations

import dataclasses
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmarks.server_process import ServerFailed, inference
from benchmarks.texts import NoTexts, read_texts

if TYPE_CHECKING:
    from benchmarks.volley import Volley

COLUMNS = (
    "load", "priority", "offered/s", "goodput/s", "of the maximum", "refused", "with RetryInfo", "retry s", "late",
    "p50 ms", "p99 ms", "generator lag p99 ms", "generator cores", "server cores", "statuses",
)  # fmt: skip
EXPLANATION = """\
Calls of one text arrive at random (Poisson) at a fixed rate, whether or not the server keeps up; "load" is that rate over
the capacity, which is measured with {callers} callers in a closed loop before each round. Goodput are answers within
their deadline of {deadline:g} s. "Late" are calls neither refused nor answered in time. Latencies are of admitted calls and
count from when a call was due. Equal texts in flight are computed once, so a file of few texts makes overload look easy:
their share is said below. The generator runs on the same cores as the server."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    model: Annotated[str, typer.Option(help="Name of a published model.")],
    registry: Annotated[str, typer.Option(help="Folder or fsspec URL of the registry.")] = "models",
    texts: Annotated[
        Path | None,
        typer.Option(
            help="CSV or JSON lines with a column named text.", show_default="training split of the model's run"
        ),
    ] = None,
    loads: Annotated[str, typer.Option(help="Multiples of the capacity, comma-separated.")] = "0.8,1.0,1.5,3.0",
    rounds: Annotated[int, typer.Option(help="Windows a load; all loads in turn.", min=1)] = 2,
    seconds: Annotated[float, typer.Option(help="Length of a window.", min=1.0)] = 10.0,
    deadline: Annotated[float, typer.Option(help="Deadline of each call, in seconds.", min=0.01)] = 3.0,
    priorities: Annotated[
        bool, typer.Option(help="A third of the calls each at low, normal and high priority.")
    ] = False,
    processes: Annotated[int, typer.Option(help="Processes of the server.", min=1)] = 1,
    out: Annotated[Path, typer.Option(help="Folder for the report and the server's log.")] = Path("build/bench"),
) -> None:
    """Load the server below, at and above its capacity: goodput, refusals, latency of what was admitted."""
    from benchmarks import server_metrics
    from benchmarks.host import facts
    from benchmarks.overload_course import CAPACITY_CALLERS, Course
    from benchmarks.pages import columns, listed, of_host, write_pages
    from benchmarks.serving import tell

    host = facts()
    source = texts or Path("runs") / model / "data" / "train.jsonl"
    try:
        known = read_texts(source)
        multiples = [float(each) for each in loads.split(",")]
        with inference(registry, model, out / "overload-server.log", processes) as server:
            course = Course(model, known, server, deadline, priorities)
            for number in range(rounds):
                tell(f"round {number + 1}: capacity")
                course.measure_capacity(seconds)
                for load in multiples:
                    tell(f"round {number + 1}: {load:g} times {course.capacity:.0f} calls/s")
                    course.run(load, seconds)
            volleys = course.volleys()
            joined = server_metrics.read(server.metrics_port)
            memory = server.memory_bytes()
    except (NoTexts, ServerFailed) as error:
        sys.stderr.write(f"benchmark: {error}\n")
        raise typer.Exit(2) from None
    best = max(each.goodput for each in volleys if each.priority == "all")
    table = columns(COLUMNS, [_row(each, best) for each in volleys])
    print(table)
    page = {
        "model": model,
        "texts": f"{source.name}, {len(known)} distinct",
        "capacities": ", ".join(f"{each:.0f}/s" for each in course.capacities),
        "rounds": f"{rounds} of {seconds:g} s",
        "texts that joined equal ones in flight": f"{joined.coalesced / max(1.0, joined.batch_texts + joined.coalesced):.1%}",
        "server processes": processes,
        "server memory at the end": f"{memory >> 20} MiB",
        **of_host(host),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    explained = EXPLANATION.format(callers=CAPACITY_CALLERS, deadline=deadline)
    content = {
        **page,
        "capacities": course.capacities,
        "host": dataclasses.asdict(host),
        "maximum": best,
        "volleys": [dataclasses.asdict(each) for each in volleys],
    }
    markdown = f"# {model} under overload\n\n{table}\n\n{explained}\n\n{listed(page)}\n"
    for path in write_pages(out, f"overload-{model}", content, markdown):
        print(path)


def _row(each: Volley, best: float) -> list[str]:
    return [
        f"{each.load:g}",
        each.priority,
        f"{each.offered:.0f}",
        f"{each.goodput:.0f}",
        f"{each.goodput / best:.3f}" if each.priority == "all" else "",
        f"{each.refused_share:.1%}",
        f"{each.with_retry_info:.0%}" if each.refused_share else "",
        f"{each.median_retry_s:.2f}" if each.refused_share else "",
        f"{each.late_share:.2%}",
        f"{each.p50_ms:.0f}",
        f"{each.p99_ms:.0f}",
        f"{each.lag_p99_ms:.1f}",
        f"{each.generator_cores:.2f}",
        f"{each.server_cores:.2f}",
        ", ".join(f"{name}: {count}" for name, count in each.statuses.items()),
    ]


if __name__ == "__main__":
    app()
