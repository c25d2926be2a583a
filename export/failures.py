"""What can go wrong between a checkpoint and a published bundle."""

from __future__ import annotations


class ExportFailure(Exception):
    """Base of every error that a user of `python -m export` can cause; the command prints it and exits with 2."""


class MalformedBundle(ExportFailure):
    """A bundle does not hold what its manifest promises: a missing file, a wrong hash, an unreadable manifest."""


class BadKey(ExportFailure):
    """A key for signatures cannot be used: no such file, no key in it, or one that others may read."""


class UntrustedBundle(ExportFailure):
    """Signatures are required, and none by a trusted key holds for this bundle."""


class ConflictingVersion(ExportFailure):
    """The registry has another bundle under this number, and versions never change."""


class UnknownModel(ExportFailure):
    """The registry has no such model, version or label."""


class NoFormerVersion(UnknownModel):
    """A label that is to be rolled back has stood for one version only."""


class RegistryNotWritable(ExportFailure):
    """The registry refuses a change: no permission, no space, or another writer that does not end."""


class ParityNotProven(ExportFailure):
    """No variant passed the parity gate, so nothing may be published."""
