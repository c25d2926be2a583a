"""Structured logs: what happened to whom, never the callers' texts.

Messages of exceptions may repeat what they choke on, so of an exception only its class and place are logged.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, Literal

import structlog

DEEPEST_FRAMES = 8


def configure(style: Literal["json", "console"], level: str, **always: int) -> None:
    """Sends log lines to stderr, as JSON objects or for people; those of libraries, too. Called once, by `__main__`.

    `always` stands in every line.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False) if style == "json" else structlog.dev.ConsoleRenderer()
    )

    def with_always(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event.update(always)
        return event

    common: list[structlog.types.Processor] = [
        with_always,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _shape_of_exception,
    ]
    structlog.configure(
        processors=[*common, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        # a line is one write, so that those of several processes do not mix
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *common],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    # what libraries tell at lower levels is for their authors
    logging.basicConfig(handlers=[handler], level=max(number, logging.WARNING), force=True)


def shape(error: BaseException) -> str:
    """Class and place of an exception and of what caused it, without their messages."""
    shapes, seen = [], set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        frames = traceback.extract_tb(link.__traceback__)[-DEEPEST_FRAMES:]
        places = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
        shapes.append(f"{type(link).__name__} at {' > '.join(places) or 'unknown place'}")
        link = link.__cause__ or link.__context__
    return "; after ".join(shapes)


def _shape_of_exception(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    given = event.pop("exc_info", None)
    if isinstance(given, tuple):
        given = given[1]
    elif given is True:
        given = sys.exc_info()[1]
    if isinstance(given, BaseException):
        event["error"] = shape(given)
    return event


class Budget:
    """How many lines of one kind may be written in a second."""

    def __init__(self, a_second: int) -> None:
        self._a_second = a_second
        self._second = -1
        self._written = 0
        self._untold = 0

    def take(self, now: float) -> int | None:
        """None: say nothing. Otherwise say it, and that so many were passed over since the last line."""
        if int(now) != self._second:
            self._second, self._written = int(now), 0
        if self._written >= self._a_second:
            self._untold += 1
            return None
        self._written += 1
        untold, self._untold = self._untold, 0
        return untold
