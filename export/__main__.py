"""`python -m export`: from a run to a proven bundle, and the registry's labels."""

from __future__ import annotations

from functools import partial

import typer

from export.commands.bundle import bundle
from export.commands.difference import diff
from export.commands.encoder import encoder
from export.commands.keys import keygen, sign
from export.commands.labelling import label, rollback, unlabel
from export.commands.looking import list_models, show, verify
from export.commands.recipes import recipes
from export.commands.text_graph import text_graph
from export.commands.transfer import pull, push
from export.commands.tune import tune

app = typer.Typer(
    help="Turn a fine-tuned run into a [bold]proven[/] ONNX bundle, publish it, and say which version is stable.\n\n"
    "Nothing is published that does not answer like the PyTorch checkpoint it came from.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    rich_markup_mode="rich",
    epilog="Example: python -m export bundle --run runs/news --label stable",
)
make, look, decide, share = (
    partial(app.command, rich_help_panel=panel) for panel in ("Make", "Look", "Decide", "Vouch and share")
)
make()(bundle)
make()(encoder)
make("text-graph")(text_graph)
look("list")(list_models)
look()(show)
look()(recipes)
look()(verify)
look()(diff)
decide()(tune)
decide()(label)
decide()(unlabel)
decide()(rollback)
share()(keygen)
share()(sign)
share()(push)
share()(pull)

if __name__ == "__main__":
    app()
