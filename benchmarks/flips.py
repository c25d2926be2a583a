"""`python -m benchmarks.flips`: does a text get the same label whatever shares its batch? For every variant of a bundle."""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmarks.server_process import ServerFailed, inference
from benchmarks.texts import NoTexts, Text, read_texts

if TYPE_CHECKING:
    from benchmarks.company import Flips

COLUMNS = (
    "variant", "texts", "answers in company", "texts a batch", "padded/real", "flipped texts", "flip rate",
    "largest probability change", "failed calls",
)  # fmt: skip
EXPLANATION = """\
Each text is sent alone, one call at a time, so that nothing shares its batch and nothing pads it; then all of them again
{passes} times by {callers} concurrent callers in random order, so that batches mix lengths and neighbours. A text is
flipped when any answer in company has another label than the answer alone. Each variant is served from a registry whose
manifest lists it only; hashes, proofs and golden answers are checked as always."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    model: Annotated[str, typer.Option(help="Name of a published model.")],
    registry: Annotated[str, typer.Option(help="Folder or fsspec URL of the registry.")] = "models",
    texts: Annotated[
        Path | None,
        typer.Option(help="CSV or JSON lines with a column named text.", show_default="splits of the model's run"),
    ] = None,
    least: Annotated[int, typer.Option(help="Texts that there must be.", min=1)] = 3000,
    most: Annotated[int, typer.Option(help="Texts to send, at most.", min=1)] = 5000,
    callers: Annotated[int, typer.Option(help="Concurrent callers in company.", min=2)] = 64,
    passes: Annotated[int, typer.Option(help="How often each text is sent in company.", min=1)] = 2,
    batch_texts: Annotated[
        int, typer.Option(help="Texts a batch, at most.", min=0, show_default="what the server finds best here")
    ] = 0,
    out: Annotated[Path, typer.Option(help="Folder for the report and the server's logs.")] = Path("build/bench"),
) -> None:
    """Serve real texts alone and in company, and compare the answers.

    Exits with 1 when a text flips with the variant that is served by default, or when calls fail, or when no
    batch held two texts, which would prove nothing.
    """
    from benchmarks.company import flips
    from benchmarks.host import facts
    from benchmarks.pages import columns, listed, of_host, write_pages
    from benchmarks.registry_copies import publish_copy, servable
    from benchmarks.serving import tell
    from export.failures import ExportFailure
    from export.registry import Registry

    host = facts()
    found: list[Flips] = []
    environment = {"BERTLINE_MAX_BATCH_TEXTS": str(batch_texts)}
    try:
        known = _texts(model, texts, least)[:most]
        bundle = Registry(registry).open(model, Registry(registry).resolve(model))
        for variant in servable(bundle):
            with tempfile.TemporaryDirectory() as folder:
                publish_copy(bundle, [variant], Registry(folder))
                tell(f"{variant}: {len(known)} texts alone, then in company")
                with inference(folder, model, out / f"flips-{variant}.log", environment=environment) as server:
                    found.append(flips(server, model, variant, known, callers, passes))
    except (NoTexts, ServerFailed, ExportFailure) as error:
        sys.stderr.write(f"benchmark: {error}\n")
        raise typer.Exit(2) from None
    table = columns(COLUMNS, [_row(each) for each in found])
    print(table)
    page = {"model": f"{model} version {bundle.manifest.version}", "texts": len(known), **of_host(host)}
    page["time"] = datetime.now(UTC).isoformat(timespec="seconds")
    explained = EXPLANATION.format(passes=passes, callers=callers)
    content = {**page, "host": dataclasses.asdict(host), "variants": [dataclasses.asdict(each) for each in found]}
    for path in write_pages(
        out, f"flips-{model}", content, f"# Flips of {model}\n\n{table}\n\n{explained}\n\n{listed(page)}\n"
    ):
        print(path)
    solitary = [each.variant for each in found if each.batch_texts <= 1.0]
    if solitary:
        print(f"no batch had two texts with {', '.join(solitary)}: nothing is proven; try --batch-texts 8")
    raise typer.Exit(1 if found[0].flipped or solitary or any(each.failed for each in found) else 0)


def _texts(model: str, given: Path | None, least: int) -> list[Text]:
    """Those of the file, or of the run: test split first. Raises NoTexts when they are too few."""
    folder = Path("runs") / model / "data"
    files = [given] if given else [folder / f"{split}.jsonl" for split in ("test", "validation", "train")]
    known: dict[Text, None] = {}
    for file in files:
        known |= dict.fromkeys(read_texts(file))
    if len(known) < least:
        raise NoTexts(
            f"{len(known)} distinct texts, fewer than {least}: give a longer file (--texts), or ask for less (--least)"
        )
    return list(known)


def _row(each: Flips) -> list[str]:
    return [
        each.variant,
        str(each.texts),
        str(each.answers),
        f"{each.batch_texts:.1f}",
        f"{each.waste:.3f}",
        str(each.flipped),
        f"{each.flipped / each.texts:.3%}",
        f"{each.largest_change:.2e}",
        str(each.failed),
    ]


if __name__ == "__main__":
    app()
