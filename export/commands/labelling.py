"""`python -m export label`, `unlabel`, `rollback`: which version is meant."""

from __future__ import annotations

from typing import Annotated

import typer

from export.terminal import Name, RegistryUrl, console, failures_shown


def label(
    name: Name,
    version: Annotated[int, typer.Argument(help="Version to point at.")],
    label: Annotated[str, typer.Argument(help="stable, canary, ...")],
    registry: RegistryUrl = "models",
) -> None:
    """Point a label at a version."""
    from export.registry import Registry

    with failures_shown():
        Registry(registry).set_label(name, label, version)
        console.print(f"{name}: {label} is now version {version}")


def unlabel(
    name: Name, label: Annotated[str, typer.Argument(help="Label to remove.")], registry: RegistryUrl = "models"
) -> None:
    """Remove a label; the version stays."""
    from export.registry import Registry

    with failures_shown():
        Registry(registry).remove_label(name, label)
        console.print(f"{name}: {label} is gone")


def rollback(
    name: Name,
    label: Annotated[str, typer.Argument(help="Label to take back.")] = "stable",
    registry: RegistryUrl = "models",
) -> None:
    """Point a label at the version it stood for before."""
    from export.registry import Registry

    with failures_shown():
        version = Registry(registry).roll_back(name, label)
        console.print(f"{name}: {label} is version {version} again")
