"""`python -m training`: from a file of labelled text to an evaluated checkpoint."""

from __future__ import annotations

import typer

from training.commands.audit import audit, correct
from training.commands.compare_methods import compare_methods
from training.commands.fit import fit
from training.commands.inspect import inspect
from training.commands.pretrain import pretrain
from training.commands.report import report
from training.commands.search import search

app = typer.Typer(
    help="Train models of text: look at the data first, then fit.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    rich_markup_mode="rich",
)
for command in (inspect, fit, report, audit, correct, search, pretrain):
    app.command()(command)
app.command("compare-methods", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(
    compare_methods
)

if __name__ == "__main__":
    app()
