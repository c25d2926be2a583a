"""Which files the settings name, and which split each of them is."""

from __future__ import annotations

from pathlib import Path

from training.data_settings import DataSettings
from training.dataset import Split
from training.failures import UnreadableData

SPLIT_WORDS = {
    "train": Split.TRAIN,
    "training": Split.TRAIN,
    "validation": Split.VALIDATION,
    "valid": Split.VALIDATION,
    "val": Split.VALIDATION,
    "dev": Split.VALIDATION,
    "test": Split.TEST,
    "eval": Split.TEST,
}

Places = list[tuple[Split | None, Path]]
"""Files, those with the training rows first; None: the rows say it, or nobody does."""


def files_of(settings: DataSettings, suffixes: tuple[str, ...]) -> Places | None:
    """The files of a folder, or the file and those of its other splits; None where `path` is neither, perhaps a hub id.

    Raises UnreadableData for files that are not there.
    """
    path = Path(settings.path)
    if path.is_dir():
        return _folder(path, suffixes)
    if path.is_file():
        return [(None, path), *own_files(settings)]
    if path.suffix in suffixes or settings.path.startswith((".", "/")):
        raise UnreadableData(f"{settings.path} does not exist")
    return None


def own_files(settings: DataSettings) -> Places:
    """Files of one split each, beside `path`."""
    found: Places = []
    for split, other in ((Split.VALIDATION, settings.validation_path), (Split.TEST, settings.test_path)):
        if other is not None:
            if not Path(other).is_file():
                raise UnreadableData(f"{other} does not exist")
            found.append((split, Path(other)))
    return found


def split_word(word: str) -> Split | None:
    """The split that a word names."""
    return SPLIT_WORDS.get(word.strip().casefold())


def named_split(word: str, where: str) -> Split:
    """The same of a cell. Raises UnreadableData that says where it stands when the word is none of them."""
    split = split_word(word)
    if split is None:
        raise UnreadableData(f"{where}: {word!r} is no split; use one of {', '.join(SPLIT_WORDS)}")
    return split


def _folder(folder: Path, suffixes: tuple[str, ...]) -> Places:
    """Files named after splits; the training file comes first, since its columns lead."""
    files = sorted(path for path in folder.iterdir() if path.suffix in suffixes and path.stem.casefold() in SPLIT_WORDS)
    found = {SPLIT_WORDS[path.stem.casefold()]: path for path in files}
    if len(found) < len(files):
        raise UnreadableData(f"{folder}: two files for one split among {', '.join(path.name for path in files)}")
    if Split.TRAIN not in found:
        raise UnreadableData(f"{folder} has no train file: expected train{suffixes[0]} (or {', '.join(suffixes[1:])})")
    return [(split, found[split]) for split in Split if split in found]
