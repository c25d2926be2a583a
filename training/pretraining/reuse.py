"""Whether a finished encoder still answers to today's texts, settings and code."""

from __future__ import annotations

from pathlib import Path

from training.fingerprint import combined, files_fingerprint
from training.pretraining.settings import PretrainingSettings
from training.reuse import code_fingerprint, encoder_fingerprint


def step_fingerprint(settings: PretrainingSettings) -> str:
    """SHA-256 over the files of texts, the settings, a local checkpoint's files and the code of `training`."""
    return combined(
        files_fingerprint([Path(path) for path in settings.paths]),
        "from scratch" if settings.model is None else encoder_fingerprint(settings.model),
        settings.model_dump_json(exclude={"paths", "model"}),
        code_fingerprint(),
    )
