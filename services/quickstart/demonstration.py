"""What is shown of a fresh model: which held-out rows are sent, and how its answers are laid out, by the run's task."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from services.clients import InferenceClient
from services.quickstart.answers import answers
from services.quickstart.entity_answers import entity_answers
from services.quickstart.neighbour_answers import neighbour_answers, pick_neighbourhoods
from services.quickstart.number_answers import number_answers
from services.quickstart.ranking_answers import pick_questions, ranking_answers
from services.quickstart.samples import NoSamples, pick


@dataclass(frozen=True, slots=True)
class Demonstration:
    """`pick` takes the file of held-out rows and how many to show; `answers` gets what it picked."""

    pick: Callable[[Path, int], Sequence[Any]]
    answers: Callable[[InferenceClient, str, Sequence[Any]], Table]
    rpc: str
    example: str
    """A script in examples/python."""
    asked: str
    """What a request holds beside the model, as JSON."""


INPUTS = '"inputs":[{"text":"..."}]'
CLASSIFICATION = Demonstration(pick, answers, "Classify", "classify.py", INPUTS)
CANDIDATES = '"query":"...","candidates":["...","..."]'
DEMONSTRATIONS = {
    "token_classification": Demonstration(pick, entity_answers, "Tag", "tag.py", INPUTS),
    "regression": Demonstration(pick, number_answers, "Regress", "regress.py", INPUTS),
    "pair_scoring": Demonstration(pick_questions, ranking_answers, "Score", "score.py", CANDIDATES),
    "embedding": Demonstration(pick_neighbourhoods, neighbour_answers, "Score", "score.py", CANDIDATES),
}


def demonstration_of(run: Path) -> Demonstration:
    """That of the run's task; a classifier's unless the task has its own. Raises NoSamples for a record that is broken."""
    record = run / "run.json"
    try:
        task = json.loads(record.read_text(encoding="utf-8")).get("task", "") if record.is_file() else ""
    except (AttributeError, ValueError) as error:
        raise NoSamples(f"{record} is not the record of a run ({error}): train again") from None
    return DEMONSTRATIONS.get(task, CLASSIFICATION)
