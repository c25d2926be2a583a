"""`python -m training search`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from training.commands.data_options import DATA, Columns, Threads
from training.commands.option_groups import given, with_option_groups
from training.terminal import console, failures_shown, quiet_libraries


@dataclass(frozen=True)
class StartOptions:
    """Fields of `training.settings.FineTuneSettings` under their own names."""

    name: Annotated[str | None, typer.Option(help="Name of the study, and of the model that fit makes of it.")] = None
    model: Annotated[str | None, typer.Option(help="`minilm` (packaged), a hub id, or a folder.")] = None
    max_length: Annotated[int | None, typer.Option(help="Tokens a text is cut to.", show_default=False)] = None
    seed: Annotated[int | None, typer.Option(help="Of the split, training and the search.", show_default="13")] = None


@with_option_groups
def search(
    data: Annotated[str | None, typer.Option(help=DATA)] = None,
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
    config: Annotated[
        Path | None, typer.Option(help="YAML or JSON with the settings to start from; flags win.")
    ] = None,
    threads: Threads = None,
    heartbeat_s: Annotated[
        int, typer.Option(min=1, help="A trial whose worker is silent for 6 times these seconds is run again.")
    ] = 10,
    *,
    options: StartOptions,
    columns: Columns,
) -> None:
    """Look for better settings than the defaults, by validation score; writes OUT/NAME/best.yaml for `fit --config`.

    The same command goes on with a search that was cut off, and run several times at once it shares the work.
    """
    quiet_libraries()
    from training.failures import InvalidSettings
    from training.packages import require
    from training.settings_reading import load_settings

    with failures_shown():
        settings = load_settings(config, given(options), columns.settings(data, seed=options.seed))
        if settings.task != "single_label_classification":
            raise InvalidSettings(f"a search compares accuracies, which {settings.task} has none of; use fit")
        if settings.distillation is not None:
            raise InvalidSettings("distillation: a search trains on labels alone; use fit, with what the search found")
        if settings.augmentation is not None or settings.contrastive_epochs:
            raise InvalidSettings(
                "augmentation and contrastive_epochs: a search trains on the rows as they are, in one stage; use fit, with what "
                "the search found"
            )
        if settings.out_of_scope is not None and settings.out_of_scope.exposure:
            raise InvalidSettings(
                "out_of_scope.exposure: a search trains on the rows alone; use fit, with what the search found"
            )
        require("optuna", "the search", "search")
        from training.search.worker import SearchPlan
        from training.search.worker import search as run_search
        from training.threads import use_threads

        use_threads(threads)
        run_search(settings, SearchPlan(out / settings.name, trials, minutes, storage, space, heartbeat_s), console)
