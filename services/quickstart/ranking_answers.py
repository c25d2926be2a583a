"""Sends held-out queries with their candidates to a cross-encoder and lays its order out beside the true relevance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from services.clients import InferenceClient, Scored
from services.quickstart.answers import TEXT_WIDTH
from services.quickstart.asking import asked, empty_table, on_one_line, reason_of, title
from services.quickstart.samples import NoSamples, held_out

CANDIDATES_SENT = 50
CANDIDATES_SHOWN = 4
ROWS_A_QUERY = 3
"""Rows that were asked for become so many times fewer queries."""


@dataclass(frozen=True, slots=True)
class Question:
    """A held-out query, its candidates, and how relevant they are."""

    query: str
    candidates: list[str]
    relevance: list[float]


def pick_questions(file: Path, count: int) -> list[Question]:
    """The first queries of a test.jsonl that have candidates to choose from, for about `count` rows. Raises NoSamples."""
    questions: dict[str, Question] = {}
    rows = held_out(
        file, '"text", "text_pair", "value"', lambda row: (row["text"], row["text_pair"], float(row["value"]))
    )
    for query, candidate, relevance in rows:
        question = questions.setdefault(query, Question(query, [], []))
        if len(question.candidates) < CANDIDATES_SENT:
            question.candidates.append(candidate)
            question.relevance.append(relevance)
    found = [each for each in questions.values() if len(set(each.relevance)) > 1]
    if not found:
        raise NoSamples(f"{file} has no query with candidates of different relevance: train again with more rows")
    return found[: max(1, count // ROWS_A_QUERY)]


def ranking_answers(client: InferenceClient, model: str, questions: Sequence[Question]) -> Table:
    """Has each question's candidates ranked, and shows the best of them. Raises CallFailed."""
    table = empty_table("query and its candidates", width=TEXT_WIDTH)
    for name in ("relevance", "held-out relevance", "latency"):
        table.add_column(name, justify="right")
    right = 0
    for question, reply, latency in asked(
        lambda each: client.score(each.query, each.candidates, model=model), questions
    ):
        table.add_row(f"[bold]{on_one_line(question.query)}[/]", "", "", latency)
        best = reply.results[0]
        right += isinstance(best, Scored) and question.relevance[best.index] == max(question.relevance)
        for result in reply.results[:CANDIDATES_SHOWN]:
            stated = f"{result.score:.3f}" if isinstance(result, Scored) else reason_of(result)
            text = on_one_line(question.candidates[result.index])
            table.add_row(f"  {text}", stated, f"{question.relevance[result.index]:g}", "")
        found = f"{right} of {len(questions)} held-out queries"
        table.title = title(reply, f"the most relevant candidate first for {found}")
    return table
