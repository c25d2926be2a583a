"""Settings of augmentation: which kinds of copies, how many, and how far they are from the original."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Kind = Literal["typo", "swap", "delete", "synonym", "back_translation"]
"""typo: mistakes of typing. swap, delete: words change places or go (Wei and Zou 2019, EDA). synonym: words become others that
stand near them. back_translation: the text through another language and back (Sennrich et al. 2016)."""
MOST_COPIES = 16
"""Of a row: EDA finds no gain in more."""


class AugmentationSettings(BaseModel):
    """Copies are made of training rows alone, once, before the texts are tokenized; a copy keeps the labels of its row."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kinds: tuple[Kind, ...] = Field(min_length=1)
    """Each copy is of one of them, in turn. On the command line separated by commas."""
    target: Literal["rows", "balanced"] = "rows"
    """rows: each row gets `copies`. balanced: classes smaller than the largest get copies until they are as large, the largest
    none; a class of several labels a text is the set of its labels."""
    copies: int | None = Field(default=None, ge=1, le=MOST_COPIES)
    """Of a row. None: 1; with target balanced up to 16, which is then the limit."""
    probability: float = Field(default=0.1, gt=0, le=0.5)
    """Share of a text's words (in Chinese of its characters) that change, at least one: EDA's alpha."""
    synonym_model: str | None = None
    """A masked language model that proposes words: a folder of `python -m training pretrain` or a hub id. None: the neighbours
    of a word among the encoder's own input embeddings."""
    translation_models: tuple[str, str] | None = None
    """Folders or hub ids of two translation models, from the language of the texts and back to it."""

    @field_validator("kinds", mode="before")
    @classmethod
    def _separated(cls, given: object) -> object:
        return [kind.strip() for kind in given.split(",")] if isinstance(given, str) else given

    @model_validator(mode="after")
    def _consistent(self) -> AugmentationSettings:
        if len(set(self.kinds)) < len(self.kinds):
            raise ValueError("kinds: a kind is named twice; each takes its turn once")
        if ("back_translation" in self.kinds) is (self.translation_models is None):
            raise ValueError(
                "back_translation needs translation_models, two folders or hub ids such as Helsinki-NLP/opus-mt-en-de and "
                "Helsinki-NLP/opus-mt-de-en, and they need back_translation"
            )
        if self.synonym_model is not None and "synonym" not in self.kinds:
            raise ValueError("synonym_model is for the kind synonym")
        return self

    @property
    def models(self) -> tuple[str, ...]:
        """Folders or hub ids that are needed beside the encoder."""
        return (*([] if self.synonym_model is None else [self.synonym_model]), *(self.translation_models or ()))
