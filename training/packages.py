"""Packages that only an extra brings."""

from __future__ import annotations

from importlib.util import find_spec

from training.failures import MissingPackage


def require(package: str, purpose: str, extra: str) -> None:
    """Raises MissingPackage when a package is not installed.

    Args:
        package: Its name when imported.
        purpose: What needs it, such as "the search".
        extra: What of this project brings it.
    """
    if find_spec(package) is None:
        raise MissingPackage(f"{purpose} needs the package {package}: pip install -c requirements.lock -e '.[{extra}]'")
