"""`python -m export recipes`: what variants there are."""

from __future__ import annotations

import typer
from rich.markup import escape
from rich.table import Table

from export.recipes.catalogue import ALL, DEFAULT, QUANTIZED, RECIPES, UnknownRecipe, named
from export.terminal import console


def recipes() -> None:
    """Variants that `bundle --variants` makes, and what each is."""
    table = Table("recipe", "runs on", "weights", "what it is", box=None, pad_edge=False)
    for recipe in RECIPES:
        table.add_row(recipe.name, recipe.device, recipe.precision, escape(recipe.summary()))
    console.print(table)
    console.print(
        f"[bold]{DEFAULT}[/]: fp32, and of {', '.join(recipe.name for recipe in QUANTIZED)} the first that passes with 99 % "
        "agreement, or else the nearest that passes\n"
        f"[bold]{ALL}[/]: every one for a CPU",
        highlight=False,
    )


def known_variants(value: str) -> str:
    """The value of `--variants`, when all it names exists."""
    if value == DEFAULT:
        return value
    try:
        named(value)
    except UnknownRecipe as error:
        raise typer.BadParameter(str(error).removeprefix("--variants: ")) from None
    return value
