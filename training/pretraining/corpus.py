"""Texts to learn a language from: read, cleaned, each once, a part held out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from training.cleaning import clean_text
from training.duplicates import Progress, folded
from training.failures import UnusableData
from training.pretraining.settings import PretrainingSettings
from training.reading import read_all_texts

MOST_HELD_OUT = 2_000
"""Enough to know the loss to a hundredth or two, few enough to be measured again and again."""
FEWEST = 10


@dataclass(frozen=True, slots=True)
class Corpus:
    """Distinct texts. `read` counts those that were read, `encodings` says how each text file was."""

    training: list[str]
    held_out: list[str]
    read: int
    encodings: dict[str, str]

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the texts of both parts, in order."""
        digest = hashlib.sha256()
        for part in (self.training, self.held_out):
            for text in part:
                data = text.encode()
                digest.update(len(data).to_bytes(8, "little") + data)
            digest.update(b"\0")
        return digest.hexdigest()


def read_corpus(settings: PretrainingSettings, progress: Progress) -> Corpus:
    """Reads and cleans the texts, keeps the first of equal ones, and holds out those whose hash with the seed is lowest.

    Raises UnreadableData or UnusableData.
    """
    found = read_all_texts(settings.paths, settings.text, settings.encoding)
    distinct: dict[str, str] = {}
    for number, text in enumerate(found.texts):
        if number % 1_000 == 0:
            progress("cleaning", number, len(found.texts))
        cleaned = clean_text(text)
        if cleaned:
            distinct.setdefault(folded(cleaned), cleaned)
    progress("cleaning", len(found.texts), len(found.texts))
    if len(distinct) < FEWEST:
        raise UnusableData(
            f"{', '.join(settings.paths)}: {len(distinct)} distinct texts are left of {len(found.texts)}; a language is learned "
            "from thousands"
        )
    wanted = min(MOST_HELD_OUT, max(1, round(settings.held_out_fraction * len(distinct))))
    held_out = set(sorted(distinct, key=lambda key: _rank(key, settings.seed))[:wanted])
    return Corpus(
        [text for key, text in distinct.items() if key not in held_out],
        [text for key, text in distinct.items() if key in held_out],
        len(found.texts),
        found.encodings,
    )


def _rank(key: str, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed}\0{key}".encode(), digest_size=16).digest()
