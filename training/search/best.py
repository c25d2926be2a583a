"""The settings file of the best trial, which `fit --config` takes as it is."""

from __future__ import annotations

from pathlib import Path

import yaml

from training.atomic_files import replace_file
from training.search.results import StudyResult
from training.search.space import with_parameters
from training.search.wording import percent, verdict
from training.settings import FineTuneSettings


def write_best(result: StudyResult, settings: FineTuneSettings, rows: int, path: Path) -> None:
    """Writes the complete settings, with the best trial's parameters in place; replaces the file at once.

    Args:
        result: A study with a complete trial.
        settings: What the search started from.
        rows: Size of the validation split.
        path: The YAML file.
    """
    best = result.best
    assert best is not None
    chosen = with_parameters(settings, best.parameters)
    text = yaml.safe_dump(chosen.model_dump(mode="json", exclude_none=True), sort_keys=False, allow_unicode=True)
    heading = (
        f"# Trial {best.number}, the best of {len(result.finished)}: validation accuracy {percent(best.score)}.\n"
        f"# {verdict(result, rows)}\n"
        f"# python -m training fit --config {path}\n"
    )
    replace_file(path, lambda aside: aside.write_text(heading + text, encoding="utf-8"))
