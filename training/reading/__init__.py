"""From a file, a folder or a hub id to examples; every fault names its file, line and column."""

from training.reading.source import Reading, read

__all__ = ["Reading", "read"]
