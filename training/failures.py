"""What can be wrong with the input of a training run; each message says what, where and what to do."""

from __future__ import annotations


class TrainingFailure(Exception):
    """Base of every error that a user of `python -m training` can cause; the command prints it and exits with 2."""


class UnreadableData(TrainingFailure):
    """A data file could not be read. The message names file, line and column where they are known."""


class UnusableData(TrainingFailure):
    """The data was read but nothing sensible can be trained on it (one class, no labels, a class of one row, ...)."""


class InvalidSettings(TrainingFailure):
    """A setting, or a combination of settings, makes no sense."""


class MissingPackage(TrainingFailure):
    """A package that only an extra brings is needed and not installed. The message says what to install."""
