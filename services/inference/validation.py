"""Checks a query once, at the edge. A fault of the whole call is raised, a fault of one text becomes its outcome."""

from __future__ import annotations

import re
from typing import NamedTuple

from export.manifest import NAME_PATTERN
from services.inference.queries import ModelReference, Options, TextInput, Truncation
from services.inference.settings import InferenceSettings
from services.inference.tokenization import MAX_WINDOWS
from services.platform.failures import InvalidInput

NAME = re.compile(NAME_PATTERN)
MAX_ROUTING_KEY = 256
MAX_ID = 256


def check_reference(reference: ModelReference) -> None:
    """Raises InvalidInput for a name or label that no model can have, without repeating what may be very long."""
    for field, value in (("model.name", reference.name), ("model.label", reference.label)):
        if value and not NAME.fullmatch(value):
            raise InvalidInput(
                "not a name: use up to 64 lower case letters, digits, '.', '_' and '-'", field, "MALFORMED_NAME"
            )


def check_options(options: Options) -> None:
    """Raises InvalidInput for options that contradict each other or are out of range."""
    if len(options.routing_key) > MAX_ROUTING_KEY:
        raise InvalidInput(
            f"a routing key has at most {MAX_ROUTING_KEY} characters", "options.routing_key", "ROUTING_KEY_TOO_LONG"
        )
    windows = options.windows
    if windows is None:
        return
    if options.truncation is not Truncation.RIGHT:
        raise InvalidInput(
            "windows read the whole text: set no truncation", "options.truncation", "WINDOWS_CUT_NOTHING"
        )
    check_between(windows.most, 0, MAX_WINDOWS, "options.windows.max_windows")


def check_overlap(options: Options, max_length: int) -> None:
    """Raises InvalidInput for windows that would share half of themselves, or more: the text would be read many times."""
    windows = options.windows
    if windows is not None and windows.overlap is not None:
        check_between(windows.overlap, 0, (max_length - 1) // 2, "options.windows.overlap_tokens")


def check_between(value: float, low: float, high: float, field: str) -> None:
    """Raises InvalidInput unless low <= value <= high; NaN is neither."""
    if not low <= value <= high:
        raise InvalidInput(f"{field} must be {low} to {high}", field, "OUT_OF_RANGE")


def check_id(request_id: str) -> None:
    """Raises InvalidInput for a request of a stream whose id is too long to send back with every answer."""
    if len(request_id) > MAX_ID:
        raise InvalidInput(f"an id has at most {MAX_ID} characters", "id", "ID_TOO_LONG")


def check_top_k(top_k: int | None) -> None:
    """Raises InvalidInput for a negative number; None and what counts as all were told apart before."""
    if top_k is not None and top_k < 0:
        raise InvalidInput("top_k must be 0 (all) or more", "top_k", "NEGATIVE_TOP_K")


def check_count(count: int, field: str, settings: InferenceSettings) -> None:
    """Raises InvalidInput for a call of no texts, or of too many. `field` is the list that holds them."""
    if count == 0:
        raise InvalidInput(f"no {field}: send at least one text", field, "NO_INPUTS")
    if count > settings.max_texts_per_call:
        raise InvalidInput(
            f"{count} {field} in one call, more than {settings.max_texts_per_call}: split them into several calls",
            field,
            "TOO_MANY_INPUTS",
            limit=str(settings.max_texts_per_call),
        )


class Paths(NamedTuple):
    """Where the texts of a call stand in the request: the field, and in it each text and its pair; {} is the position."""

    field: str
    text: str
    pair: str


INPUTS = Paths("inputs", "inputs[{}].text", "inputs[{}].text_pair")
INPUT = Paths("input", "input.text", "input.text_pair")
CANDIDATES = Paths("candidates", "candidates[{}]", "candidates[{}]")
QUERY = Paths("query", "query", "query")


def fault_of(
    text: TextInput, paths: Paths, position: int, pair: bool, settings: InferenceSettings
) -> InvalidInput | None:
    """What is wrong with one text, or None. `pair` says whether the model takes pairs."""
    if not text.text or text.text.isspace():
        return InvalidInput("the text is empty", paths.text.format(position), "TEXT_EMPTY")
    size = _bytes(text.text)
    if text.text_pair is not None:
        if not pair:
            where = paths.pair.format(position)
            return InvalidInput("this model takes single texts, not pairs", where, "PAIR_NOT_TAKEN")
        size += _bytes(text.text_pair)
    elif pair:
        where = paths.pair.format(position)
        return InvalidInput("this model takes pairs: text_pair is missing", where, "PAIR_MISSING")
    if size > settings.max_text_bytes:
        return InvalidInput(
            f"the text has {size} bytes, more than {settings.max_text_bytes}: split it",
            paths.text.format(position),
            "TEXT_TOO_LONG",
            limit=str(settings.max_text_bytes),
        )
    return None


def too_many_tokens(field: str, limit: int) -> InvalidInput:
    """The fault of a text that may not be cut and does not fit."""
    return InvalidInput(
        f"the text has more than {limit} tokens: allow truncation, or read it in windows",
        field,
        "TOO_MANY_TOKENS",
        limit=str(limit),
    )


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())
