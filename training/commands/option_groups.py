"""Options that belong together, declared once as a dataclass and taken by any command."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, Field, asdict, fields, is_dataclass
from functools import wraps
from typing import Any, get_type_hints


def with_option_groups(command: Callable[..., None]) -> Callable[..., None]:
    """The command with one option for each field, in place of each parameter that is a dataclass.

    Typer reads the options of a command from its signature, so this writes another signature; fields are declared as parameters
    are: `name: Annotated[type, typer.Option(...)] = default`.
    """
    hints = get_type_hints(command, include_extras=True)
    groups = {name: kind for name, kind in hints.items() if is_dataclass(kind) and isinstance(kind, type)}

    @wraps(command)
    def expanded(**given: Any) -> None:
        for name, kind in groups.items():
            given[name] = kind(**{field.name: given.pop(field.name) for field in fields(kind)})
        command(**given)

    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        if parameter.name in groups:
            parameters += _options(groups[parameter.name])
        else:
            parameters.append(parameter.replace(annotation=hints[parameter.name], kind=parameter.KEYWORD_ONLY))
    expanded.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what inspect.signature returns
    expanded.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return expanded


def given(options: Any) -> dict[str, Any]:
    """The options of a group that the user gave; the others are None."""
    return {name: value for name, value in asdict(options).items() if value is not None}


def _options(group: type) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=_default(field), annotation=hints[field.name]
        )
        for field in fields(group)
    ]


def _default(field: Field[Any]) -> Any:
    return inspect.Parameter.empty if field.default is MISSING else field.default
