"""From a file, a folder or a hub id to examples, or to texts without labels; every fault names its file, line and column."""

from training.reading.source import Reading, read
from training.reading.unlabelled import Texts, read_texts

__all__ = ["Reading", "Texts", "read", "read_texts"]
