"""`python -m training fit`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from training.commands.augmentation_options import AugmentationOptions
from training.commands.data_options import DATA, LabelColumns, Threads
from training.commands.distillation_options import DistillationOptions
from training.commands.option_groups import given, with_option_groups
from training.commands.report import ReportOptions
from training.commands.scope_options import ScopeOptions
from training.headlines import PLAIN, as_shown, headline, shown
from training.report.settings import ReportSettings
from training.run import DistillationRecord, RunDirectory, RunRecord
from training.scope.record import SCOPE_TITLES, ScopeRecord
from training.terminal import console, failures_shown, quiet_libraries

if TYPE_CHECKING:
    from training.settings import FineTuneSettings


@dataclass(frozen=True)
class FitOptions:
    """Fields of `training.settings.FineTuneSettings` under their own names."""

    name: Annotated[str | None, typer.Option(help="Name of the run and the model.")] = None
    task: Annotated[
        str | None,
        typer.Option(
            help="single_label_classification, multi_label_classification where texts can have several labels or none, "
            "token_classification to find entities in texts, regression where the label is a number, pair_scoring where "
            "rows are query, candidate and relevance, or embedding: a vector a text.",
            show_default="single_label_classification",
        ),
    ] = None
    model: Annotated[str | None, typer.Option(help="`minilm` (packaged), a hub id, or a folder.")] = None
    epochs: Annotated[int | None, typer.Option(help="Chosen from the data when not given.", show_default=False)] = None
    learning_rate: Annotated[float | None, typer.Option(help="Chosen from the encoder.", show_default=False)] = None
    batch_size: Annotated[int | None, typer.Option(show_default="32")] = None
    gradient_accumulation: Annotated[
        int | None, typer.Option(help="Batches summed into one update.", show_default="1")
    ] = None
    max_length: Annotated[int | None, typer.Option(help="Tokens a text is cut to.", show_default=False)] = None
    pooling: Annotated[str | None, typer.Option(help="mean, cls or last; the encoder decides.", show_default=False)] = (
        None
    )
    class_weights: Annotated[str | None, typer.Option(help="auto, balanced or none.", show_default="auto")] = None
    method: Annotated[
        str | None,
        typer.Option(
            help="full, frozen, bitfit, lora, adalora, prefix or adapters: which weights are trained.",
            show_default="full",
        ),
    ] = None
    lora_rank: Annotated[int | None, typer.Option(show_default="8")] = None
    adalora_target_rank: Annotated[
        int | None, typer.Option(help="Mean rank of the updates at the end.", show_default="8")
    ] = None
    prefix_length: Annotated[
        int | None, typer.Option(help="Keys and values before the text, a layer.", show_default="16")
    ] = None
    adapter_reduction_factor: Annotated[
        int | None, typer.Option(help="The encoder's width over that of an adapter.", show_default="16")
    ] = None
    layer_rate_decay: Annotated[
        float | None, typer.Option(help="Rate of a layer over that of the one above.", show_default="1")
    ] = None
    loss: Annotated[
        str | None,
        typer.Option(
            help="Of labels: cross_entropy or focal; of numbers: mse or huber; of relevance: binary_cross_entropy, ranknet or "
            "listwise_softmax.",
            show_default="the first of the task",
        ),
    ] = None
    sampling: Annotated[
        str | None, typer.Option(help="none, over, square_root or under: for unequal classes.", show_default="none")
    ] = None
    contrastive_epochs: Annotated[
        int | None,
        typer.Option(
            help="For few rows a class: so many epochs first bring texts of one label near one another.",
            show_default="0",
        ),
    ] = None
    contrastive_learning_rate: Annotated[
        float | None, typer.Option(help="Of that stage; chosen from the encoder.", show_default=False)
    ] = None
    hard_negatives: Annotated[
        int | None, typer.Option(help="Task embedding: so many for each pair, found by the encoder.", show_default="0")
    ] = None
    cached_batch: Annotated[
        int | None,
        typer.Option(
            help="Task embedding: texts computed at once, for batches larger than memory.", show_default=False
        ),
    ] = None
    similarity_scale: Annotated[
        float | None, typer.Option(help="Task embedding: times the cosines in the loss.", show_default="20")
    ] = None
    mixed_precision: Annotated[str | None, typer.Option(help="auto, no, fp16 or bf16.", show_default="auto")] = None
    early_stopping_patience: Annotated[int | None, typer.Option(show_default="3")] = None
    checkpoint_every_s: Annotated[
        float | None, typer.Option(help="Seconds between checkpoints.", show_default="60")
    ] = None
    seed: Annotated[int | None, typer.Option(help="Of the split and of training.", show_default="13")] = None


@with_option_groups
def fit(
    data: Annotated[str | None, typer.Option(help=DATA)] = None,
    config: Annotated[Path | None, typer.Option(help="YAML or JSON with any of the settings; flags win.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs"),
    threads: Threads = None,
    anew: Annotated[bool, typer.Option("--anew", help="Reuse and resume nothing.")] = False,
    *,
    options: FitOptions,
    augmentation: AugmentationOptions,
    distillation: DistillationOptions,
    scope: ScopeOptions,
    columns: LabelColumns,
    reporting: ReportOptions,
) -> None:
    """Fine-tune a model and write runs/NAME. A killed run resumes; a finished one is reused until something changes."""
    quiet_libraries()
    from training.attempts import resume_nothing
    from training.processes import is_first
    from training.reuse import step_fingerprint
    from training.settings_reading import load_settings
    from training.threads import use_threads

    console.quiet = not is_first()
    with failures_shown():
        rows = columns.settings(data, seed=options.seed)
        groups = {
            "augmentation": given(augmentation),
            "distillation": given(distillation),
            "out_of_scope": given(scope),
            "report": given(reporting),
        }
        settings = load_settings(config, given(options), rows, groups)
        run = RunDirectory(out / settings.name)
        fingerprint = step_fingerprint(settings)
        record = run.record()
        use_threads(threads)
        if anew and is_first():
            resume_nothing(run)
        if not anew and record is not None and record.step_fingerprint == fingerprint:
            console.print(f"[green]reused[/] {run.root}: data, settings and code are those of {record.create_time}")
        else:
            record = _train(settings, run, fingerprint)
        _report(record, run, settings.report)
        _show(record, run)


def _train(settings: FineTuneSettings, run: RunDirectory, fingerprint: str) -> RunRecord:
    """In this process, or together with those that torchrun started beside it."""
    from training.processes import process_count, require_shareable

    require_shareable(settings, process_count())
    from training.data_parallel import Ranks
    from training.embedding.fitting import fit_encoder
    from training.fine_tuning import fine_tune

    if settings.task == "embedding":
        return fit_encoder(settings, run, fingerprint, console)
    ranks = Ranks.joined()
    try:
        with TemporaryDirectory(prefix="bertline-rank-") as aside:
            mine = run if ranks.first else run.aside(Path(aside))
            return fine_tune(settings, mine, fingerprint, console, ranks)
    finally:
        ranks.leave()


def _report(record: RunRecord, run: RunDirectory, settings: ReportSettings) -> None:
    """Made where there is none of this run, by one process; `python -m training report` makes it anew."""
    from training.processes import is_first
    from training.progress import listener
    from training.report.making import report_of

    if not is_first():
        return
    with listener(console) as progress:
        report_of(run, record, settings, progress)


def _show(record: RunRecord, run: RunDirectory) -> None:
    headlines = shown(record.task, record.metrics["test"])
    table = Table("split", box=None, pad_edge=False)
    for title in headlines.values():
        table.add_column(title, justify="right")
    for split, scores in record.metrics.items():
        known = record.intervals if split == "test" else {}
        table.add_row(split, *(_shown(name, scores[name], known.get(name)) for name in headlines))
    if record.distillation is not None:
        for title, scores in _teachers(record.distillation):
            table.add_row(title, *(_shown(name, scores[name], None) for name in headlines))
    console.print(table)
    if record.distillation is not None:
        console.print(_kept(record.distillation, headline(record.task)[1]), highlight=False)
    if record.out_of_scope is not None:
        _show_scope(record.out_of_scope)
    console.print(f"[bold]run[/] {run.root} ({record.seconds:.0f} s)  [bold]plots[/] {run.evaluation}", highlight=False)
    console.print(f"[bold]evaluation report[/] {run.evaluation / 'report.html'}", highlight=False)
    console.print(f"[bold]data report[/] {run.data / 'report.html'}", highlight=False)


def _show_scope(scope: ScopeRecord) -> None:
    """Operating point and evidence in one line."""
    figures = ", ".join(
        f"{title} {_shown(name, scope.evidence[name], scope.intervals.get(name))}"
        for name, title in SCOPE_TITLES.items()
        if name in scope.evidence
    )
    console.print(
        f"[bold]out of scope[/] {scope.detector}, threshold {scope.threshold:.3f} keeps {100 * scope.acceptance:g} % of the "
        f"validation rows; test: {figures}",
        highlight=False,
    )


def _teachers(distillation: DistillationRecord) -> list[tuple[str, dict[str, float]]]:
    """Rows of the table: the teachers on the student's test rows."""
    rows = [(f"test, teacher {teacher.name}", teacher.metrics) for teacher in distillation.teachers]
    return rows if len(rows) == 1 else [*rows, ("test, teachers together", distillation.together)]


def _kept(distillation: DistillationRecord, metric: str) -> str:
    first, *more = distillation.teachers
    whose = f"of the {metric} of {len(more) + 1} teachers together" if more else f"of its teacher's {metric}"
    made = "" if distillation.layers is None else f", with {len(distillation.layers)} of {first.layers} layers"
    return f"[bold]the student has[/] {100 * distillation.kept:.1f} % {whose}{made}"


def _shown(metric: str, value: float, interval: tuple[float, float] | None) -> str:
    """With what the rows, being a sample, leave open."""
    if interval is None:
        return as_shown(metric, value)
    low, high = interval
    known = f"{low:.3g} to {high:.3g}" if metric in PLAIN else f"{100 * low:.0f}-{100 * high:.0f}"
    return f"{as_shown(metric, value)} ({known})"
