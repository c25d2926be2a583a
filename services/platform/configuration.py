"""Settings from a file, the environment and flags; flags win over the environment, and that over the file."""

from __future__ import annotations

import difflib
import inspect
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

import typer
import yaml
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource

Settings = TypeVar("Settings", bound=BaseSettings)
DEFAULT = "default"


class BadSettings(Exception):
    """Settings that cannot be used; each line names where the value came from and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Configured(Generic[Settings]):
    """Settings, and where each value came from."""

    settings: Settings
    sources: Mapping[str, str]

    def print(self) -> str:
        """The effective settings as YAML that can be read again, each with its source."""
        values = self.settings.model_dump(mode="json")
        lines = [(yaml.safe_dump({name: value}, allow_unicode=True).strip(), name) for name, value in values.items()]
        width = max(len(line) for line, _ in lines)
        return "".join(f"{line:<{width}}  # {self.sources[name]}\n" for line, name in lines)


def configured(kind: type[Settings], file: Path | None, flags: Mapping[str, Any]) -> Configured[Settings]:
    """Reads all sources. Raises BadSettings."""
    values: dict[str, Any] = {}
    sources = dict.fromkeys(kind.model_fields, DEFAULT)
    layers: list[tuple[Mapping[str, Any], Callable[[str], str]]] = [
        (_file(kind, file) if file is not None else {}, lambda name: f"{file}: {name}"),
        (EnvSettingsSource(kind)(), lambda name: f"{kind.model_config['env_prefix']}{name.upper()}"),
        ({name: value for name, value in flags.items() if value is not None}, flag),
    ]
    for layer, source in layers:
        values.update(layer)
        sources.update({name: source(name) for name in layer})
    try:
        return Configured(kind(**values), sources)
    except ValidationError as error:
        faults = [(".".join(map(str, fault["loc"])), fault["msg"]) for fault in error.errors()]
        raise BadSettings(
            "\n".join(
                f"setting {name} ({sources[name]}): {why}" if name else f"settings: {why}" for name, why in faults
            )
        ) from None


def flag(name: str) -> str:
    """A setting's flag, as in --max-queue-s."""
    return "--" + name.replace("_", "-")


def with_flags(kind: type[BaseSettings]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a typer command a flag for each setting; it gets them as `**flags`, None where a flag was not given.

    A field's description is the help, and `section` in its json_schema_extra begins a group.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command, eval_str=True)
        parameters = [each for each in own.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
        section = ""
        for name, field in kind.model_fields.items():
            extra = field.json_schema_extra
            section = str(extra.get("section", section)) if isinstance(extra, dict) else section
            parameters.append(_parameter(name, field, section))
        # typer looks at both
        command.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {each.name: each.annotation for each in parameters}
        return command

    return decorate


def _parameter(name: str, field: FieldInfo, section: str) -> inspect.Parameter:
    switch = field.annotation is bool
    option = typer.Option(
        f"{flag(name)}/{flag('no_' + name)}" if switch else flag(name),
        help=field.description,
        show_default=_shown(field.default),
        rich_help_panel=section or None,
        metavar=None if switch else _metavar(field),
    )
    annotations: tuple[Any, Any] = Annotated[bool | None, option], Annotated[str | None, option]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotations[not switch])


def _metavar(field: FieldInfo) -> str:
    choices = getattr(field.annotation, "__args__", ())
    if choices and all(isinstance(choice, str) for choice in choices):
        return "|".join(choices)
    kinds = [each for each in choices or (field.annotation,) if each is not type(None)]
    names: dict[Any, str] = {int: "NUMBER", float: "NUMBER", Path: "FILE"}
    return names.get(kinds[0], "TEXT")


def _shown(default: object) -> str:
    if default is None or default == "":
        return "none"
    if isinstance(default, bool):
        return "yes" if default else "no"
    return f"{default:,}" if isinstance(default, int) and default >= 100_000 else str(default)


def _file(kind: type[BaseSettings], file: Path) -> Mapping[str, Any]:
    """A flat mapping of settings; YAML, or TOML where the name ends in .toml."""
    try:
        text = file.read_text(encoding="utf-8")
        found = tomllib.loads(text) if file.suffix == ".toml" else yaml.safe_load(text)
    except OSError as error:
        raise BadSettings(f"cannot read {file}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadSettings(f"{file}: {error}") from None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise BadSettings(f"{file}: expected `setting: value` lines")
    unknown = [str(name) for name in found if name not in kind.model_fields]
    if unknown:
        raise BadSettings("\n".join(f"{file}: unknown setting {name!r}{_hint(kind, name)}" for name in unknown))
    return found


def _hint(kind: type[BaseSettings], name: str) -> str:
    near = difflib.get_close_matches(name.replace("-", "_"), kind.model_fields, 1)
    return f"; did you mean {near[0]!r}?" if near else ""
