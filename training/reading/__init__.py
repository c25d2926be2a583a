"""From a file, a folder or a hub id to examples, or to texts without labels; every fault names its file, line and column."""

from training.data_settings import DataSettings
from training.reading.annotated import read_annotated
from training.reading.many_texts import Texts, read_all_texts
from training.reading.source import Reading, read_labelled

__all__ = ["Reading", "Texts", "read", "read_all_texts"]


def read(settings: DataSettings) -> Reading:
    """Reads everything that `settings` names. Raises UnreadableData."""
    return read_annotated(settings) if settings.label_kind == "entities" else read_labelled(settings)
