"""An example with its entities, and the words that say them: equal where two spellings of a text are annotated alike."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from training.dataset import Entity, Example
from training.duplicates import folded

NO_ENTITY = "no entity"


def annotated(example: Example, entities: Iterable[Entity]) -> Example:
    """The example with these entities, in the order of the text; `labels` become their types, `label` all of them in words."""
    found = tuple(entities)
    return replace(
        example,
        entities=found,
        labels=tuple(sorted({entity.label for entity in found})),
        label="; ".join(_in_words(example.text, entity) for entity in found) or NO_ENTITY,
    )


def _in_words(text: str, entity: Entity) -> str:
    """Characters count as in the folded text, under which spellings of one text are one."""
    surface, end = folded(text[entity.start : entity.end]), len(folded(text[: entity.end]))
    return f"{surface} ({entity.label} {end - len(surface)}-{end})"
