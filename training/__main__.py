"""`python -m training`: from a file of labelled text to an evaluated checkpoint."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from training.failures import TrainingFailure
from training.run import HEADLINES, RunDirectory, RunRecord

app = typer.Typer(
    help="Fine-tune a text classifier on labelled text: look at the data first, then fit.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    rich_markup_mode="rich",
)
console = Console(soft_wrap=True, width=None if sys.stdout.isatty() else 140)

Column = Annotated[
    str | None, typer.Option(help="Column name; found by itself when it has a usual name.", show_default=False)
]
Separator = Annotated[
    str | None,
    typer.Option(
        help="Between the labels of one text in the label column.", show_default="| for several labels a text"
    ),
]
Encoding = Annotated[str | None, typer.Option(help="Encoding of text files; found by itself.", show_default=False)]
Extra = Annotated[Path | None, typer.Option(help="A file of its own for this split.", show_default=False)]
DropRare = Annotated[bool, typer.Option("--drop-rare-classes", help="Leave out classes with fewer than 3 rows.")]


@app.command()
def inspect(
    data: Annotated[str, typer.Argument(help="csv, tsv, jsonl or parquet file, folder of splits, or hub data set id.")],
    out: Annotated[Path, typer.Option(help="Folder for report.json and report.html.")] = Path("build/inspect"),
    model: Annotated[str, typer.Option(help="Whose tokens to count.")] = "minilm",
    text: Column = None,
    text_pair: Column = None,
    label: Column = None,
    label_separator: Separator = None,
    split: Column = None,
    encoding: Encoding = None,
    validation: Extra = None,
    test: Extra = None,
    drop_rare_classes: DropRare = False,
) -> None:
    """Report on a data set: counts, balance, token lengths, duplicates, conflicting labels, leaks, samples."""
    from training.data_settings import DataSettings
    from training.encoders import find_encoder
    from training.encoding import token_counter
    from training.inspect_command import inspect as run_inspection
    from training.model_making import load_tokenizer

    _quiet()
    values = _data_flags(
        data, text, text_pair, label, label_separator, split, encoding, validation, test, drop_rare_classes
    )
    settings = DataSettings.model_validate({name: value for name, value in values.items() if value is not None})
    with _failures():
        run_inspection(settings, out, console, token_counter(load_tokenizer(find_encoder(model).location)))


@app.command()
def fit(
    data: Annotated[
        str | None, typer.Option(help="csv, tsv, jsonl or parquet file, folder of splits, or hub id.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the run and the model.")] = None,
    task: Annotated[
        str | None,
        typer.Option(
            help="single_label_classification, or multi_label_classification where texts can have several labels or none.",
            show_default="single_label_classification",
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(help="`minilm` (packaged), a hub id, or a folder.")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML or JSON with any of the settings; flags win.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs"),
    epochs: Annotated[int | None, typer.Option(help="Chosen from the data when not given.", show_default=False)] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Chosen from the encoder.", show_default=False)] = None,
    batch_size: Annotated[int | None, typer.Option(show_default="32")] = None,
    gradient_accumulation: Annotated[
        int | None, typer.Option(help="Batches summed into one update.", show_default="1")
    ] = None,
    max_length: Annotated[int | None, typer.Option(help="Tokens a text is cut to.", show_default=False)] = None,
    pooling: Annotated[
        str | None, typer.Option(help="mean, cls or last; the encoder decides.", show_default=False)
    ] = None,
    class_weights: Annotated[str | None, typer.Option(help="auto, balanced or none.", show_default="auto")] = None,
    method: Annotated[
        str | None, typer.Option(help="full, frozen, bitfit or lora: which weights are trained.", show_default="full")
    ] = None,
    lora_rank: Annotated[int | None, typer.Option(show_default="8")] = None,
    layer_rate_decay: Annotated[
        float | None, typer.Option(help="Rate of a layer over that of the one above.", show_default="1")
    ] = None,
    loss: Annotated[str | None, typer.Option(help="cross_entropy or focal.", show_default="cross_entropy")] = None,
    sampling: Annotated[
        str | None, typer.Option(help="none, over, square_root or under: for unequal classes.", show_default="none")
    ] = None,
    mixed_precision: Annotated[str | None, typer.Option(help="auto, no, fp16 or bf16.", show_default="auto")] = None,
    early_stopping_patience: Annotated[int | None, typer.Option(show_default="3")] = None,
    checkpoint_every_s: Annotated[
        float | None, typer.Option(help="Seconds between checkpoints.", show_default="60")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of the split and of training.", show_default="13")] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads for torch.", show_default="all")] = None,
    text: Column = None,
    text_pair: Column = None,
    label: Column = None,
    label_separator: Separator = None,
    split: Column = None,
    encoding: Encoding = None,
    validation: Extra = None,
    test: Extra = None,
    drop_rare_classes: DropRare = False,
) -> None:
    """Fine-tune a classifier and write runs/NAME. A killed run resumes; a finished one is reused until something changes."""
    from training.settings import load_settings

    _quiet()
    data_flags = _data_flags(
        data, text, text_pair, label, label_separator, split, encoding, validation, test, drop_rare_classes
    )
    flags = {
        "name": name,
        "task": task,
        "model": model,
        "epochs": epochs,
        "learning_rate": learning_rate,
        "batch_size": batch_size,
        "gradient_accumulation": gradient_accumulation,
        "max_length": max_length,
        "pooling": pooling,
        "class_weights": class_weights,
        "method": method,
        "lora_rank": lora_rank,
        "layer_rate_decay": layer_rate_decay,
        "loss": loss,
        "sampling": sampling,
        "mixed_precision": mixed_precision,
        "early_stopping_patience": early_stopping_patience,
        "checkpoint_every_s": checkpoint_every_s,
        "seed": seed,
    }
    with _failures():
        settings = load_settings(config, flags, {**data_flags, "seed": seed})
        run = RunDirectory(out / settings.name)
        from training.reuse import step_fingerprint

        fingerprint = step_fingerprint(settings)
        record = run.record()
        if record is not None and record.step_fingerprint == fingerprint:
            console.print(f"[green]reused[/] {run.root}: data, settings and code are those of {record.create_time}")
        else:
            from training.fine_tuning import fine_tune, use_threads

            use_threads(threads)
            record = fine_tune(settings, run, fingerprint, console)
        _show(record, run)


@app.command()
def audit(
    data: Annotated[str, typer.Option(help="csv, tsv, jsonl or parquet file, folder of splits, or hub id.")],
    name: Annotated[str, typer.Option(help="Name of the audit: its files go to OUT/NAME.")],
    out: Annotated[Path, typer.Option(help="Folder of the audits.")] = Path("build/audit"),
    model: Annotated[str | None, typer.Option(help="`minilm`, a hub id, or a folder.", show_default="minilm")] = None,
    via: Annotated[
        str | None,
        typer.Option(
            help="vectors (seconds to minutes), or fine-tuning (a training run a fold).", show_default="vectors"
        ),
    ] = None,
    folds: Annotated[int | None, typer.Option(help="Models that judge each other's rows.", show_default="5")] = None,
    write_cleaned: Annotated[
        Path | None, typer.Option(help="Write the data without the issues to this csv file.", show_default=False)
    ] = None,
    all_rows: Annotated[bool, typer.Option("--all-rows", help="List every row in audit.csv, not only issues.")] = False,
    max_length: Annotated[int | None, typer.Option(help="Tokens a text is cut to.", show_default=False)] = None,
    epochs: Annotated[int | None, typer.Option(help="Of fine-tuning.", show_default=False)] = None,
    seed: Annotated[int | None, typer.Option(help="Of the folds and of training.", show_default="13")] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads for torch.", show_default="all")] = None,
    text: Column = None,
    text_pair: Column = None,
    label: Column = None,
    split: Column = None,
    encoding: Encoding = None,
    validation: Extra = None,
    test: Extra = None,
    drop_rare_classes: DropRare = False,
) -> None:
    """Find the rows whose label is most likely wrong, by confident learning: audit.csv and audit.html in OUT/NAME."""
    from training.audit.settings import audit_settings

    _quiet()
    data_flags = _data_flags(data, text, text_pair, label, None, split, encoding, validation, test, drop_rare_classes)
    flags = {
        "name": name,
        "model": model,
        "via": via,
        "folds": folds,
        "max_length": max_length,
        "epochs": epochs,
        "seed": seed,
    }
    with _failures():
        settings = audit_settings(flags, data_flags)
        from training.audit.command import audit as run_audit

        if threads is not None:
            from training.fine_tuning import use_threads

            use_threads(threads)
        run_audit(settings, out / settings.name, console, all_rows, write_cleaned)


@app.command()
def correct(
    data: Annotated[str, typer.Option(help="The data that was audited.")],
    corrections: Annotated[Path, typer.Option(help="audit.csv with labels written into corrected_label.")],
    out: Annotated[Path, typer.Option(help="The csv file to write; the data itself is never changed.")],
    text: Column = None,
    text_pair: Column = None,
    label: Column = None,
    split: Column = None,
    encoding: Encoding = None,
    validation: Extra = None,
    test: Extra = None,
    drop_rare_classes: DropRare = False,
) -> None:
    """Write the data with the labels that you corrected in audit.csv."""
    from training.audit.command import correct as run_correction
    from training.data_settings import DataSettings

    values = _data_flags(data, text, text_pair, label, None, split, encoding, validation, test, drop_rare_classes)
    settings = DataSettings.model_validate({key: value for key, value in values.items() if value is not None})
    with _failures():
        run_correction(settings, corrections, out, console)


@app.command()
def search(
    data: Annotated[
        str | None, typer.Option(help="csv, tsv, jsonl or parquet file, folder of splits, or hub id.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the study, and of the model that fit makes of it.")] = None,
    trials: Annotated[int, typer.Option(min=1, help="Trials of the study, all workers and starts together.")] = 20,
    minutes: Annotated[
        float | None, typer.Option(min=0, help="This worker starts no trial later than this.", show_default=False)
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(help="postgresql://USER@HOST/DATABASE for many machines.", show_default="OUT/NAME/study.db"),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the searches.")] = Path("searches"),
    space: Annotated[
        Path | None, typer.Option(help="YAML or JSON: which settings vary between which bounds.", show_default=False)
    ] = None,
    model: Annotated[str | None, typer.Option(help="`minilm` (packaged), a hub id, or a folder.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="YAML or JSON with the settings to start from; flags win.")
    ] = None,
    max_length: Annotated[int | None, typer.Option(help="Tokens a text is cut to.", show_default=False)] = None,
    seed: Annotated[int | None, typer.Option(help="Of the split, training and the search.", show_default="13")] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads of this worker.", show_default="all")] = None,
    heartbeat_s: Annotated[
        int, typer.Option(min=1, help="A trial whose worker is silent for 6 times these seconds is run again.")
    ] = 10,
    text: Column = None,
    text_pair: Column = None,
    label: Column = None,
    split: Column = None,
    encoding: Encoding = None,
    validation: Extra = None,
    test: Extra = None,
    drop_rare_classes: DropRare = False,
) -> None:
    """Look for better settings than the defaults, by validation score; writes OUT/NAME/best.yaml for `fit --config`.

    The same command goes on with a search that was cut off, and run several times at once it shares the work.
    """
    from training.failures import InvalidSettings
    from training.settings import load_settings

    _quiet()
    data_flags = _data_flags(data, text, text_pair, label, None, split, encoding, validation, test, drop_rare_classes)
    flags = {"name": name, "model": model, "max_length": max_length, "seed": seed}
    with _failures():
        settings = load_settings(config, flags, {**data_flags, "seed": seed})
        if settings.task != "single_label_classification":
            raise InvalidSettings(f"a search compares accuracies, which {settings.task} has none of; use fit")
        _require_optuna()
        from training.fine_tuning import use_threads
        from training.search.worker import SearchPlan
        from training.search.worker import search as run_search

        use_threads(threads)
        run_search(settings, SearchPlan(out / settings.name, trials, minutes, storage, space, heartbeat_s), console)


def _require_optuna() -> None:
    from importlib.util import find_spec

    from training.failures import MissingPackage

    if find_spec("optuna") is None:
        raise MissingPackage("the search needs Optuna: pip install -e '.[search]', or pip install 'optuna>=5,<6'")


@app.command("compare-methods", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def compare_methods(
    context: typer.Context,
    name: Annotated[str, typer.Option(help="The runs are called NAME-METHOD.")],
    out: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs"),
    methods: Annotated[str, typer.Option(help="Which ones, comma-separated.")] = "full,lora,bitfit,frozen",
) -> None:
    """Train with each method in turn, then say what each costs and gives. All other options go to `fit`."""
    from training.failures import InvalidSettings
    from training.method_comparison import METHODS, measure, table

    with _failures():
        wanted = [each for each in METHODS if each in methods.split(",")]
        if unknown := set(methods.split(",")) - set(METHODS):
            raise InvalidSettings(f"there is no method {', '.join(sorted(unknown))}; there are {', '.join(METHODS)}")
        measured = [measure(method, name, out, context.args) for method in wanted]
        console.print(table(measured))


def _data_flags(
    path: str | None,
    text: str | None,
    text_pair: str | None,
    label: str | None,
    label_separator: str | None,
    split: str | None,
    encoding: str | None,
    validation: Path | None,
    test: Path | None,
    drop_rare_classes: bool,
) -> dict[str, object]:
    return {
        "path": path,
        "text": text,
        "text_pair": text_pair,
        "label": label,
        "label_separator": label_separator,
        "split": split,
        "encoding": encoding,
        "validation_path": str(validation) if validation else None,
        "test_path": str(test) if test else None,
        "drop_rare_classes": drop_rare_classes or None,
    }


def _show(record: RunRecord, run: RunDirectory) -> None:
    headlines = HEADLINES[record.task]
    table = Table("split", box=None, pad_edge=False)
    for title in headlines.values():
        table.add_column(title, justify="right")
    for split, scores in record.metrics.items():
        known = record.intervals if split == "test" else {}
        table.add_row(split, *(_percent(scores[name], known.get(name)) for name in headlines))
    console.print(table)
    console.print(f"[bold]run[/] {run.root} ({record.seconds:.0f} s)  [bold]plots[/] {run.evaluation}", highlight=False)
    console.print(f"[bold]data report[/] {run.data / 'report.html'}", highlight=False)


def _percent(value: float, interval: tuple[float, float] | None) -> str:
    """With what the rows, being a sample, leave open."""
    if interval is None:
        return f"{100 * value:.1f} %"
    return f"{100 * value:.1f} % ({100 * interval[0]:.0f}-{100 * interval[1]:.0f})"


class _failures:  # noqa: N801 - reads as a statement: `with _failures():`
    """Prints a failure that the user can mend as a message, not as a traceback, and exits with 2."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, TrainingFailure):
            console.print(f"[red]error[/] {escape(str(error))}", soft_wrap=True)
            raise typer.Exit(2) from None


def _quiet() -> None:
    """Keeps the libraries' chatter out of our output."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    logging.getLogger("transformers").setLevel(logging.ERROR)


if __name__ == "__main__":
    app()
