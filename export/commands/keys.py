"""`python -m export keygen`, `sign`: who vouches for a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from export.terminal import Name, RegistryUrl, console, failures_shown

if TYPE_CHECKING:
    from export.signing import SigningKey, TrustedKeys

SignWith = Annotated[
    Path | None,
    typer.Option(
        "--sign-with", help="Private key (.key) that signs the version, made by `keygen`.", show_default=False
    ),
]
TrustedKeyPaths = Annotated[
    list[Path] | None,
    typer.Option(
        "--trusted-key",
        help="Public key (.pub), or a folder of them: one of these must have signed the bundle. May be repeated.",
        show_default=False,
    ),
]


def keygen(
    path: Annotated[
        Path, typer.Argument(help="Folder for signing.key and signing.pub, or the private file, such as keys/news.key.")
    ],
) -> None:
    """Make a pair of keys (Ed25519): the private one signs bundles, servers are given the public one."""
    from export.signing import generate

    with failures_shown():
        private, public, number = generate(path)
    console.print(f"[bold]private key[/] {private}: keep it where you sign, and nowhere else", highlight=False)
    console.print(f"[bold]public key[/]  {public}, id {number}: give it to servers as trusted_keys", highlight=False)


def sign(
    name: Name,
    version: Annotated[int, typer.Option(help="Version to sign.")],
    key: Annotated[Path, typer.Option(help="Private key (.key), made by `keygen`.")],
    registry: RegistryUrl = "models",
) -> None:
    """Sign a published version; its files are checked first, and signatures by other keys stay."""
    from export.registry import Registry

    with failures_shown():
        signer = read_key(key)
        assert signer is not None
        Registry(registry).sign(name, version, signer)
        console.print(f"[bold]signed[/] {name} version {version} with key {signer.id}", highlight=False)


def read_key(path: Path | None) -> SigningKey | None:
    """None without a path. Raises BadKey."""
    from export.signing import SigningKey

    return None if path is None else SigningKey.read(path)


def trusted_keys(paths: list[Path] | None) -> TrustedKeys | None:
    """None without paths. Raises BadKey."""
    from export.signing import TrustedKeys

    if not paths:
        return None
    keys = TrustedKeys(tuple(paths))
    keys.read()
    return keys
