"""Whether a finished run still answers to today's data, settings and code."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from training.encoders import PACKAGED
from training.fingerprint import combined, files_fingerprint, source_fingerprint
from training.settings import FineTuneSettings


def step_fingerprint(settings: FineTuneSettings) -> str:
    """SHA-256 over the data files, the settings, a local encoder's files and the code of `training`."""
    data = settings.data
    paths = [Path(path) for path in (data.path, data.validation_path, data.test_path) if path is not None]
    encoder = settings.model
    if encoder != PACKAGED and Path(encoder).is_dir():
        encoder = files_fingerprint([Path(encoder)])
    spec = find_spec("training")
    assert spec is not None and spec.origin is not None
    code = source_fingerprint(Path(spec.origin).parent, (".py", ".html"))
    # paths may be written in different ways; what counts is what they hold
    written = settings.model_dump_json(exclude={"data": {"path", "validation_path", "test_path"}, "model": True})
    return combined(files_fingerprint(paths), encoder, written, code)
