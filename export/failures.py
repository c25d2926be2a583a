"""What can go wrong between a checkpoint and a published bundle."""

from __future__ import annotations


class ExportFailure(Exception):
    """Base of every error that a user of `python -m export` can cause; the command prints it and exits with 2."""


class MalformedBundle(ExportFailure):
    """A bundle does not hold what its manifest promises: a missing file, a wrong hash, an unreadable manifest."""


class UnknownModel(ExportFailure):
    """The registry has no such model, version or label."""


class NoFormerVersion(UnknownModel):
    """A label that is to be rolled back has stood for one version only."""


class RegistryNotWritable(ExportFailure):
    """The registry refuses a change: no permission, no space, or another writer that does not end."""


class ParityNotProven(ExportFailure):
    """No variant passed the parity gate, so nothing may be published."""
