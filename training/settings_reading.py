"""Settings from files and flags, with a message for each field that is wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from training.data_settings import DataSettings
from training.failures import InvalidSettings
from training.settings import LABEL_KINDS, FineTuneSettings

Settings = TypeVar("Settings", bound=BaseModel)
SEPARATOR = "|"
"""Between the labels of a text, unless another separator is given."""
GROUPS = ("data", "augmentation", "distillation", "out_of_scope", "report")
"""Settings that are groups of their own."""


def load_settings(
    file: Path | None,
    flags: dict[str, Any],
    data_flags: dict[str, Any],
    groups: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> FineTuneSettings:
    """Settings from an optional YAML or JSON file, overridden by flags that are not None; `groups` are those of GROUPS but data.

    Raises InvalidSettings that names each wrong field.
    """
    values: dict[str, Any] = _read(file) if file is not None else {}
    flags_of = {**groups, "data": data_flags}
    found = {name: {**(values.pop(name, None) or {}), **_given(flags_of.get(name, {}))} for name in {*GROUPS, *groups}}
    data, distillation, augmentation = (found[name] for name in ("data", "distillation", "augmentation"))
    task = {**values, **_given(flags)}.get("task")
    if task == "multi_label_classification":
        data.setdefault("label_separator", SEPARATOR)
    if task in LABEL_KINDS:
        data.setdefault("label_kind", LABEL_KINDS[task])
    if distillation and not distillation.get("teachers"):
        raise InvalidSettings(
            f"{', '.join(distillation)}: no teacher; give the folder of a finished run with --teacher RUN"
        )
    if augmentation and not augmentation.get("kinds"):
        raise InvalidSettings(
            f"{', '.join(augmentation)}: of what kind? give --augment typo,swap,delete,synonym, or one of them"
        )
    if task == "embedding":
        data.setdefault("relation", "auto")
    if "path" not in data:
        raise InvalidSettings("no data: give --data FILE, or data.path in the configuration file")
    present = {name: group for name, group in found.items() if group}
    return validated(FineTuneSettings, {**values, **_given(flags), **present})


def data_settings(values: dict[str, Any]) -> DataSettings:
    """Settings of the data alone. Raises InvalidSettings that names each wrong field."""
    return validated(DataSettings, values)


def validated(kind: type[Settings], values: Mapping[str, Any]) -> Settings:
    """Raises InvalidSettings that names each wrong field."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise InvalidSettings(explain(error)) from None


def explain(error: ValidationError) -> str:
    """One line a fault: the field's path, what is wrong, what was given."""
    lines = []
    for fault in error.errors():
        path = ".".join(str(part) for part in fault["loc"]) or "settings"
        lines.append(f"{path}: {fault['msg']} (got {fault['input']!r})" if path != "settings" else fault["msg"])
    return "; ".join(lines)


def _given(flags: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in flags.items() if value is not None}


def _read(file: Path) -> dict[str, Any]:
    import yaml

    try:
        text = file.read_text(encoding="utf-8")
        values = json.loads(text) if file.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InvalidSettings(f"configuration {file}: {error}") from None
    if not isinstance(values, dict) or not all(isinstance(values.get(group) or {}, dict) for group in GROUPS):
        raise InvalidSettings(
            f"configuration {file}: expected fields such as `epochs: 3`, with {', '.join(GROUPS)} as groups of fields"
        )
    return values
