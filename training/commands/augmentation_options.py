"""Options of augmentation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer


@dataclass(frozen=True)
class AugmentationOptions:
    """Fields of `training.augmentation.settings.AugmentationSettings` under their own names."""

    kinds: Annotated[
        str | None,
        typer.Option(
            "--augment",
            help="Train on varied copies, too: typo, swap, delete, synonym, back_translation; several with commas.",
            show_default=False,
        ),
    ] = None
    target: Annotated[
        str | None,
        typer.Option(
            "--augment-to",
            help="rows: every row gets copies; balanced: classes get them until they are as large as the largest.",
            show_default="rows",
        ),
    ] = None
    copies: Annotated[
        int | None,
        typer.Option("--augment-copies", help="Of a row.", show_default="1; with balanced at most 16"),
    ] = None
    probability: Annotated[
        float | None,
        typer.Option("--augment-probability", help="Share of a text's words that change.", show_default="0.1"),
    ] = None
    synonym_model: Annotated[
        str | None,
        typer.Option(
            help="Masked language model that proposes synonyms: a folder of `pretrain` or a hub id.",
            show_default="the encoder's embeddings",
        ),
    ] = None
    translation_models: Annotated[
        list[str] | None,
        typer.Option(
            "--translation-model",
            help="For back_translation, given twice: the model there and the model back.",
            show_default=False,
        ),
    ] = None
