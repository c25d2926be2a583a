"""`python -m export push`, `pull`: a version goes from one registry to another as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from export.commands.keys import TrustedKeyPaths, trusted_keys
from export.terminal import Name, RegistryUrl, console, failures_shown, of_a_store

if TYPE_CHECKING:
    from pathlib import Path

    from export.registry import Registry
    from export.signing import TrustedKeys

Version = Annotated[int | None, typer.Option(help="Version to copy.", show_default=False)]
Label = Annotated[str | None, typer.Option(help="Or the version with this label there.", show_default="stable")]
Pointed = Annotated[
    list[str] | None,
    typer.Option("--as", help="Label to point at it where it arrives; may be repeated.", show_default=False),
]


def push(
    name: Name,
    to: Annotated[str, typer.Option(help="Registry to copy to: a folder or fsspec URL (s3://bucket/models).")],
    registry: RegistryUrl = "models",
    version: Version = None,
    label: Label = None,
    pointed: Pointed = None,
) -> None:
    """Copy a version to another registry: same number, same bytes, same signatures. Goes on where it was interrupted."""
    with failures_shown():
        _copied(name, registry, to, version, label, pointed, None)


def pull(
    name: Name,
    source: Annotated[str, typer.Option("--from", help="Registry to copy from: a folder or fsspec URL.")],
    registry: RegistryUrl = "models",
    version: Version = None,
    label: Label = None,
    pointed: Pointed = None,
    trusted_key: TrustedKeyPaths = None,
) -> None:
    """Copy a version from another registry: same number, same bytes, same signatures. Goes on where it was interrupted."""
    with failures_shown():
        _copied(name, source, registry, version, label, pointed, trusted_key)


def _copied(
    name: str,
    source_url: str,
    target_url: str,
    version: int | None,
    label: str | None,
    pointed: list[str] | None,
    trusted: list[Path] | None,
) -> None:
    from export.failures import ExportFailure

    if version is not None and label is not None:
        raise ExportFailure("--version and --label say the same in two ways: give one of them")
    source, target = _registry(source_url), _registry(target_url)
    try:
        found, already = _transferred(name, source, target, version, label, trusted_keys(trusted))
        for each in pointed or []:
            target.set_label(name, each, found)
        held = ", ".join(sorted(key for key, value in target.labels(name).items() if value == found))
    except Exception as error:
        if not (isinstance(error, OSError) or of_a_store(error)):
            raise
        raise ExportFailure(
            f"from {source_url} to {target_url}: {str(error) or repr(error)}; run the command again, it goes on where it was"
        ) from None
    what = "[green]already there[/]" if already else "[bold]copied[/]"
    console.print(f"{what} {name} version {found}{f' ({held})' if held else ''} in {target_url}", highlight=False)


def _transferred(
    name: str, source: Registry, target: Registry, version: int | None, label: str | None, trusted: TrustedKeys | None
) -> tuple[int, bool]:
    from export.transfer import transfer

    found = source.resolve(name, version, label)
    done = transfer(name, found, source, target, trusted, lambda file: console.print(f"copied {file}", highlight=False))
    return found, done.already


def _registry(url: str) -> Registry:
    from export.failures import ExportFailure
    from export.registry import Registry

    try:
        return Registry(url)
    except ImportError as error:
        raise ExportFailure(f"{url}: {error}; for s3:// install the extra `s3`") from None
    except ValueError as error:
        raise ExportFailure(f"{url}: {error}") from None
