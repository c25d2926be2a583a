"""`python -m benchmarks.gpu`: whether a model answers on this machine's GPU as it does on the CPU, and how fast."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer
from numpy.typing import NDArray

ROWS = 512
SECONDS = 3.0
AGREEMENT = 0.98
NOT_CHECKED, WRONG = 2, 1

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    model: Annotated[str, typer.Option(help="Name of a model; its version labelled stable is checked.")],
    registry: Annotated[str, typer.Option(help="Folder or fsspec URL of the registry.")] = "models",
    device: Annotated[str, typer.Option(help="cuda or tensorrt.")] = "cuda",
) -> None:
    """Load a bundle on the GPU, compare its answers with the CPU's, print the speed of both.

    Exit status 2: there is no GPU to check on. 1: the answers differ.
    """
    from services.inference.execution.session import DeviceUnavailable, preload_cuda
    from services.platform.logs import configure

    if not list(Path("/dev").glob("nvidia[0-9]*")):
        sys.stderr.write("NOT CHECKED: there is no NVIDIA GPU on this machine (no /dev/nvidia0)\n")
        raise typer.Exit(NOT_CHECKED)
    configure("console", "info")
    preload_cuda()
    try:
        agreement = _compare(registry, model, "tensorrt" if device == "tensorrt" else "cuda")
    except DeviceUnavailable as error:
        sys.stderr.write(f"NOT CHECKED: {error}\n")
        raise typer.Exit(NOT_CHECKED) from None
    if agreement < AGREEMENT:
        sys.stderr.write(f"WRONG: fewer than {100 * AGREEMENT:.0f} % of the rows get the same answer\n")
        raise typer.Exit(WRONG)


def _compare(registry: str, model: str, device: Literal["cuda", "tensorrt"]) -> float:
    """Prints one line a device; returns the share of rows whose largest output is in the same place."""
    from export.golden import Golden
    from export.registry import Registry

    source = Registry(registry)
    bundle = source.open(model, source.resolve(model))
    golden = Golden.read(bundle.file(bundle.manifest.golden))
    rows = sample(golden.input_ids, bundle.manifest.max_length)
    outputs = {}
    with tempfile.TemporaryDirectory() as state:
        kinds: tuple[Literal["cpu", "cuda", "tensorrt"], ...] = ("cpu", device)
        for kind in kinds:
            outputs[kind] = _on(kind, bundle, golden, rows, Path(state))
    here, there = outputs["cpu"], outputs[device]
    agreement = float((here.argmax(axis=-1) == there.argmax(axis=-1)).mean())
    print(f"agreement {100 * agreement:.2f} %, largest difference {np.abs(here - there).max():.4g}")
    return agreement if np.isfinite(there).all() else 0.0


def _on(
    kind: Literal["cpu", "cuda", "tensorrt"], bundle: Any, golden: Any, rows: Sequence[Any], state: Path
) -> NDArray[np.float32]:
    from services.inference.execution.variant_choice import prepare
    from services.inference.metrics import Metrics
    from services.inference.settings import InferenceSettings

    settings = InferenceSettings(device=kind, state_dir=state)
    execution = prepare(bundle, golden, settings, Metrics())
    session = execution.layout.narrow[0]
    size = min(execution.limits.batch_texts, max(1, execution.limits.batch_tokens // bundle.manifest.max_length))
    batches = [rows[start : start + size] for start in range(0, len(rows), size)]
    outputs = [session.run([row])[0].ravel() for row in rows]
    lone = statistics.median(_seconds(session, [row]) for row in rows[:64])
    with ThreadPoolExecutor(settings.workers) as pool:
        until, done = time.perf_counter() + SECONDS, 0
        begun = time.perf_counter()
        while time.perf_counter() < until:
            done += sum(len(output) for output in pool.map(session.run, batches))
        rate = done / (time.perf_counter() - begun)
    print(
        f"{kind}: variant {execution.variant.name}, {rate:.0f} texts/s in batches of {size}, {1e3 * lone:.2f} ms alone"
    )
    return np.stack([output[: outputs[0].size] for output in outputs])


def _seconds(session: Any, batch: list[Any]) -> float:
    begun = time.perf_counter()
    session.run(batch)
    return time.perf_counter() - begun


def sample(real: Sequence[Sequence[int]], max_length: int) -> list[Any]:
    """Rows of every length up to the longest, sorted, from the tokens of real texts; the real ones are among them."""
    from services.inference.prediction import Encoded

    random = np.random.default_rng(0)
    tokens = [token for row in real for token in row[1:-1]] or [1]
    rows = [np.array(row, np.int64) for row in real]
    while len(rows) < ROWS:
        length = int(random.integers(3, max_length + 1))
        rows.append(np.array([real[0][0], *random.choice(tokens, length - 2), real[0][-1]], np.int64))
    return [Encoded(row) for row in sorted(rows, key=len)]


if __name__ == "__main__":
    app()
