"""What makes each kind of copy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from training.augmentation.back_translation import BackTranslation, Translation, require_translation_model
from training.augmentation.settings import AugmentationSettings, Kind
from training.augmentation.synonyms import EmbeddingNeighbours, MaskedWords, require_masked_model
from training.augmentation.words import mistyped, shortened, swapped
from training.encoders import EncoderSource
from training.packages import require
from training.typos import Random


class Change(Protocol):
    """A kind of change, for many texts at once."""

    def changed(self, texts: Sequence[str], randoms: Sequence[Random], probability: float) -> list[str]:
        """Each text changed, by its own random generator; one that cannot be changed comes back as it is."""


class OneByOne:
    """A change that looks at one text alone."""

    def __init__(self, change: Callable[[str, Random, float], str]) -> None:
        self._change = change

    def changed(self, texts: Sequence[str], randoms: Sequence[Random], probability: float) -> list[str]:
        """See `Change`."""
        return [self._change(text, random, probability) for text, random in zip(texts, randoms, strict=True)]


def require_models(settings: AugmentationSettings | None) -> None:
    """To be called before anything that takes long: raises InvalidSettings where a model that makes copies cannot be had, and
    MissingPackage."""
    if settings is None:
        return
    if settings.synonym_model is not None:
        require_masked_model(settings.synonym_model)
    if settings.translation_models is not None:
        require("sentencepiece", "back-translation", "translation")
        for model in settings.translation_models:
            require_translation_model(model)


def changes(settings: AugmentationSettings, source: EncoderSource) -> dict[Kind, Change]:
    """Those that the settings name, in that order. Raises InvalidSettings where the weights of a model cannot be had."""
    return {kind: _change(kind, settings, source) for kind in settings.kinds}


def _change(kind: Kind, settings: AugmentationSettings, source: EncoderSource) -> Change:
    if kind == "synonym":
        model = settings.synonym_model
        return EmbeddingNeighbours.of_encoder(source) if model is None else MaskedWords(model)
    if kind == "back_translation":
        assert settings.translation_models is not None
        there, back = map(Translation, settings.translation_models)
        return BackTranslation(there, back)
    return OneByOne({"typo": mistyped, "swap": swapped, "delete": shortened}[kind])
