"""What is logged of exceptions."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from services.platform.logs import configure, shape

SECRET = "the caller's text"


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    """Undoes what `configure` did."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def fail() -> None:
    try:
        int(SECRET)
    except ValueError as error:
        raise RuntimeError(f"no number: {SECRET}") from error


def test_an_exception_is_known_by_class_and_place_not_by_its_message() -> None:
    with pytest.raises(RuntimeError) as caught:
        fail()
    known = shape(caught.value)
    assert known.startswith("RuntimeError at ")
    assert "; after ValueError at test_logs.py" in known
    assert SECRET not in known


@pytest.mark.usefixtures("logging_as_before")
def test_lines_of_libraries_are_json_too_without_messages_of_exceptions(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json", "info", process=3)
    try:
        fail()
    except RuntimeError:
        logging.getLogger("library").exception("it broke")
        structlog.get_logger().exception("ours broke")
    logging.getLogger("library").info("chatter")
    lines = capsys.readouterr().err
    foreign, own = map(json.loads, lines.splitlines())
    assert (foreign["event"], foreign["logger"], foreign["level"]) == ("it broke", "library", "error")
    assert (own["event"], own["level"]) == ("ours broke", "error")
    for entry in (foreign, own):
        assert entry["process"] == 3
        assert entry["error"].startswith("RuntimeError at ")
    assert SECRET not in lines
