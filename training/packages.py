"""Installed packages: those that only an extra brings, and versions for records."""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec

from training.failures import MissingPackage

LIBRARIES = (
    *("torch", "transformers", "accelerate", "peft", "sentence-transformers", "tokenizers"),
    *("datasets", "scikit-learn", "numpy"),
)
"""Those that training rests on."""


def library_versions() -> dict[str, str]:
    """Of each of them."""
    return {name: version(name) for name in LIBRARIES}


def require(package: str, purpose: str, extra: str) -> None:
    """Raises MissingPackage when a package is not installed.

    Args:
        package: Its name when imported.
        purpose: What needs it, such as "the search".
        extra: What of this project brings it.
    """
    if find_spec(package) is None:
        raise MissingPackage(f"{purpose} needs the package {package}: pip install -c requirements.lock -e '.[{extra}]'")
