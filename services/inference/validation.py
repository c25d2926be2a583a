"""Checks a query once, at the edge. A fault of the whole call is raised, a fault of one text becomes its outcome."""

from __future__ import annotations

import re

from export.manifest import NAME_PATTERN
from services.inference.prediction import ModelReference, Query, TextInput
from services.inference.settings import InferenceSettings
from services.platform.failures import InvalidInput

NAME = re.compile(NAME_PATTERN)


def check_reference(reference: ModelReference) -> None:
    """Raises InvalidInput for a name or label that no model can have, without repeating what may be very long."""
    for field, value in (("model.name", reference.name), ("model.label", reference.label)):
        if value and not NAME.fullmatch(value):
            raise InvalidInput(
                "not a name: use up to 64 lower case letters, digits, '.', '_' and '-'", field, "MALFORMED_NAME"
            )


def check_query(query: Query, settings: InferenceSettings) -> None:
    """Raises InvalidInput for what makes the whole call senseless."""
    count = len(query.inputs)
    if count == 0:
        raise InvalidInput("no inputs: send at least one text", "inputs", "NO_INPUTS")
    if count > settings.max_texts_per_call:
        raise InvalidInput(
            f"{count} inputs in one call, more than {settings.max_texts_per_call}: split them into several calls",
            "inputs",
            "TOO_MANY_INPUTS",
            limit=str(settings.max_texts_per_call),
        )
    if query.top_k is not None and query.top_k < 0:
        raise InvalidInput("top_k must be 0 (all labels) or more", "top_k", "NEGATIVE_TOP_K")


def fault_of(text: TextInput, position: int, pair: bool, settings: InferenceSettings) -> InvalidInput | None:
    """What is wrong with one text, or None. `pair` says whether the model takes pairs."""
    field = f"inputs[{position}].text"
    if not text.text or text.text.isspace():
        return InvalidInput("the text is empty", field, "TEXT_EMPTY")
    size = len(text.text) if text.text.isascii() else len(text.text.encode())
    if text.text_pair is not None:
        if not pair:
            return InvalidInput(
                "this model takes single texts, not pairs", f"inputs[{position}].text_pair", "PAIR_NOT_TAKEN"
            )
        size += len(text.text_pair.encode())
    elif pair:
        return InvalidInput(
            "this model takes pairs: text_pair is missing", f"inputs[{position}].text_pair", "PAIR_MISSING"
        )
    if size > settings.max_text_bytes:
        return InvalidInput(
            f"the text has {size} bytes, more than {settings.max_text_bytes}: split it",
            field,
            "TEXT_TOO_LONG",
            limit=str(settings.max_text_bytes),
        )
    return None
