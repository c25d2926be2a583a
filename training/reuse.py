"""Whether a finished run still answers to today's data, settings and code."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from training.data_settings import DataSettings
from training.distillation.settings import DistillationSettings
from training.encoders import PACKAGED
from training.fingerprint import combined, files_fingerprint, source_fingerprint
from training.run import RunDirectory
from training.scope.settings import ScopeSettings
from training.settings import FineTuneSettings

BESIDE_MODELS = (
    *("report", "evaluation_report.html", "evaluation_parts.html"),
    *("search", "search_report.html"),
    *("audit", "label_audit.html"),
)
"""Folders and files of `training` that look at models or try settings; an edit of them makes no other model."""


def step_fingerprint(settings: FineTuneSettings) -> str:
    """SHA-256 over the data files, the settings, the files of local models, what teaches, and the code of `training`."""
    return combined(
        rows_fingerprint(settings.data),
        scope_fingerprint(settings.out_of_scope),
        encoder_fingerprint(settings.model),
        *([] if settings.augmentation is None else map(encoder_fingerprint, settings.augmentation.models)),
        *([] if settings.distillation is None else [lesson_fingerprint(settings.distillation)]),
        settings_as_text(settings),
        code_fingerprint((".py", ".html", ".css")),
    )


def inputs_of(settings: FineTuneSettings) -> tuple[str, ...]:
    """All that a run reads: files and folders, or names on a hub."""
    scope, lessons, copies = settings.out_of_scope, settings.distillation, settings.augmentation
    return (
        *_files_of(settings.data),
        settings.model,
        *([scope.path] if scope is not None and scope.path is not None else []),
        *([] if lessons is None else [*lessons.teachers, *lessons.unlabelled]),
        *([] if copies is None else copies.models),
    )


def rows_fingerprint(data: DataSettings) -> str:
    """SHA-256 over what the data files hold; a hub id counts as its name."""
    return files_fingerprint([Path(path) for path in _files_of(data)])


def _files_of(data: DataSettings) -> list[str]:
    return [path for path in (data.path, data.validation_path, data.test_path) if path]


def scope_fingerprint(scope: ScopeSettings | None) -> str:
    """SHA-256 over the texts out of scope."""
    return files_fingerprint([Path(scope.path)] if scope is not None and scope.path is not None else [])


def encoder_fingerprint(model: str) -> str:
    """SHA-256 over the files of a local encoder; another one is known by its name."""
    return files_fingerprint([Path(model)]) if model != PACKAGED and Path(model).is_dir() else model


def lesson_fingerprint(distillation: DistillationSettings) -> str:
    """SHA-256 over the records and checkpoints of the teachers, and over the texts without labels."""
    runs = [RunDirectory(Path(teacher)) for teacher in distillation.teachers]
    files = [path for run in runs for path in (run.record_path, run.checkpoint)]
    return files_fingerprint([*files, *map(Path, distillation.unlabelled)])


def settings_as_text(settings: FineTuneSettings) -> str:
    """The settings that make the model, as JSON without paths, which may be written in different ways; what counts is what
    they hold."""
    return settings.model_dump_json(
        exclude={
            "data": {"path", "validation_path", "test_path"},
            "augmentation": {"synonym_model", "translation_models"},
            "distillation": {"teachers", "unlabelled"},
            "model": True,
            "out_of_scope": {"path"},
            "report": True,
        }
    )


def code_fingerprint(suffixes: tuple[str, ...] = (".py",)) -> str:
    """SHA-256 over the source of `training` that can make another model."""
    spec = find_spec("training")
    assert spec is not None and spec.origin is not None
    return source_fingerprint(Path(spec.origin).parent, suffixes, BESIDE_MODELS)
