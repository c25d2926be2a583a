"""`python -m services.inference`: the inference server."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from pydantic import ValidationError

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    registry: Annotated[
        str | None, typer.Option(help="Folder or fsspec URL of the registry.", show_default="models")
    ] = None,
    models: Annotated[
        str | None, typer.Option(help="name, name@label or name:version, comma-separated.", show_default="all labelled")
    ] = None,
    host: Annotated[str | None, typer.Option(help="0.0.0.0 for all interfaces.", show_default="127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(help="0 takes a free one.", show_default="50051")] = None,
    metrics_port: Annotated[
        int | None, typer.Option(help="Of /metrics; 0 takes a free one.", show_default="9090")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; never falls back.", show_default="cpu")] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads.", show_default="one for each core")] = None,
    log_style: Annotated[str | None, typer.Option(help="json or console.", show_default="json")] = None,
    log_level: Annotated[str | None, typer.Option(show_default="info")] = None,
) -> None:
    """Serve the registry's models over gRPC. Every setting is also an environment variable, such as BERTLINE_PORT."""
    from services.inference.assembly import run
    from services.inference.models import NothingLoaded
    from services.inference.session import DeviceUnavailable
    from services.inference.settings import InferenceSettings
    from services.platform.logs import configure
    from services.platform.server import ServerNotStarted

    flags = {
        "registry": registry,
        "models": models,
        "host": host,
        "port": port,
        "metrics_port": metrics_port,
        "device": device,
        "threads": threads,
        "log_style": log_style,
        "log_level": log_level,
    }
    try:
        settings = InferenceSettings(**{name: value for name, value in flags.items() if value is not None})  # type: ignore[arg-type]  # pydantic checks
    except ValidationError as error:
        for fault in error.errors():
            name = ".".join(map(str, fault["loc"]))
            sys.stderr.write(f"setting {name}: {fault['msg']}\n" if name else f"settings: {fault['msg']}\n")
        raise typer.Exit(2) from None
    configure(settings.log_style, settings.log_level)
    try:
        run(settings)
    except (NothingLoaded, DeviceUnavailable, ServerNotStarted) as error:
        sys.stderr.write(f"the server cannot start: {error}\n")
        raise typer.Exit(2) from None


if __name__ == "__main__":
    app()
