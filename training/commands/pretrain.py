"""`python -m training pretrain`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from training.commands.data_options import Threads
from training.commands.option_groups import given, with_option_groups
from training.pretraining.record import EncoderDirectory, PretrainingRecord
from training.terminal import console, failures_shown, quiet_libraries


@dataclass(frozen=True)
class NewModel:
    """Fields of `training.pretraining.settings.PretrainingSettings` that say what a model from scratch is like."""

    vocabulary: Annotated[
        int | None, typer.Option(help="Tokens of the new tokenizer, at most.", show_default="8000")
    ] = None
    lowercase: Annotated[
        bool | None,
        typer.Option("--lowercase/--keep-case", help="Of the new tokenizer; lower case has no accents, either."),
    ] = None
    layers: Annotated[int | None, typer.Option(show_default="4")] = None
    hidden_size: Annotated[int | None, typer.Option(show_default="256")] = None
    heads: Annotated[int | None, typer.Option(show_default="4")] = None
    intermediate_size: Annotated[int | None, typer.Option(show_default="1024")] = None
    dropout: Annotated[float | None, typer.Option(help="While it is pretrained.", show_default="0")] = None


@dataclass(frozen=True)
class PretrainOptions:
    """Other fields of the same, under their own names."""

    text: Annotated[
        str | None, typer.Option(help="Column of the text in tables; found by itself.", show_default=False)
    ] = None
    encoding: Annotated[
        str | None, typer.Option(help="Encoding of text files; found by itself.", show_default=False)
    ] = None
    model: Annotated[
        str | None,
        typer.Option(help="Go on from this: `minilm`, a hub id, or a folder.", show_default="a new model"),
    ] = None
    max_length: Annotated[
        int | None, typer.Option(help="Tokens of a sequence; longer texts are cut into pieces.", show_default="256")
    ] = None
    held_out_fraction: Annotated[float | None, typer.Option(help="Texts that only measure.", show_default="0.02")] = (
        None
    )
    masked_share: Annotated[float | None, typer.Option(help="Of the tokens, to be guessed.", show_default="0.15")] = (
        None
    )
    minutes: Annotated[
        float | None, typer.Option(help="Of the whole run; the rate falls to zero just then.", show_default=False)
    ] = None
    epochs: Annotated[
        float | None, typer.Option(help="Passes over the texts.", show_default="3, or 20 of a new model")
    ] = None
    steps: Annotated[int | None, typer.Option(help="Updates of the weights.", show_default=False)] = None
    batch_tokens: Annotated[int | None, typer.Option(help="Tokens of a batch.", show_default="4096")] = None
    gradient_accumulation: Annotated[
        int | None, typer.Option(help="Batches summed into one update.", show_default="1")
    ] = None
    learning_rate: Annotated[float | None, typer.Option(help="Chosen from the model.", show_default=False)] = None
    mixed_precision: Annotated[str | None, typer.Option(help="auto, no, fp16 or bf16.", show_default="auto")] = None
    checkpoint_every_s: Annotated[
        float | None, typer.Option(help="Seconds between checkpoints.", show_default="60")
    ] = None
    seed: Annotated[int | None, typer.Option(help="Of everything that is drawn.", show_default="13")] = None


@with_option_groups
def pretrain(
    data: Annotated[
        list[str],
        typer.Option(
            help="Text file of one text a line (.txt), csv, tsv, jsonl or parquet, or a folder; several times."
        ),
    ],
    name: Annotated[str, typer.Option(help="Name of the encoder.")],
    out: Annotated[Path, typer.Option(help="Folder of the encoders.")] = Path("encoders"),
    threads: Threads = None,
    *,
    options: PretrainOptions,
    shape: NewModel,
) -> None:
    """Learn a language from texts without labels (masked language modelling) and write encoders/NAME for `fit --model`.

    A killed run resumes; a finished one is reused until something changes.
    """
    quiet_libraries()
    from training.failures import InvalidSettings
    from training.pretraining.reuse import step_fingerprint
    from training.pretraining.settings import load_pretraining_settings
    from training.processes import process_count

    with failures_shown():
        if process_count() > 1:
            raise InvalidSettings("pretrain works in one process: start it without torchrun")
        settings = load_pretraining_settings({"paths": data, "name": name, **given(options), **given(shape)})
        run = EncoderDirectory(out / settings.name)
        fingerprint = step_fingerprint(settings)
        record = run.record()
        if record is not None and record.step_fingerprint == fingerprint:
            console.print(f"[green]reused[/] {run.root}: texts, settings and code are those of {record.create_time}")
        else:
            from training.pretraining.pretraining import pretrain as learn
            from training.threads import use_threads

            use_threads(threads)
            record = learn(settings, run, fingerprint, console)
        _show(record, run)


def _show(record: PretrainingRecord, run: EncoderDirectory) -> None:
    table = Table("held-out texts", box=None, pad_edge=False)
    for title in ("loss", "perplexity", "masked tokens right"):
        table.add_column(title, justify="right")
    for when, quality in (("before", record.before), ("after", record.after)):
        table.add_row(when, f"{quality.loss:.3f}", f"{quality.perplexity:,.1f}", f"{100 * quality.accuracy:.1f} %")
    console.print(table)
    read_as = f" ({', '.join(sorted(set(record.encodings.values())))})" if record.encodings else ""
    console.print(
        f"{record.texts:,} texts{read_as}, {record.tokens:,} tokens; {record.updates:,} updates, {record.epochs:.1f} epochs, "
        f"{record.tokens_per_s:,.0f} tokens/s",
        highlight=False,
    )
    console.print(f"[bold]encoder[/] {run.root} ({record.seconds:.0f} s): fit --model {run.root}", highlight=False)
