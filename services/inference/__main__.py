"""`python -m services.inference`: the inference server."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from services.inference.settings import InferenceSettings
from services.platform.configuration import BadSettings, configured, with_flags

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
CONFIG = typer.Option(
    help="YAML or TOML file of settings; flags and environment variables win over it.",
    envvar="BERTLINE_CONFIG",
    metavar="FILE",
)


@app.command()
@with_flags(InferenceSettings)
def main(
    config: Annotated[Path | None, CONFIG] = None,
    print_config: Annotated[
        bool,
        typer.Option("--print-config", help="Print the effective settings and where each comes from; serve nothing."),
    ] = False,
    as_process: Annotated[bool, typer.Option("--as-process", hidden=True)] = False,
    **flags: Any,
) -> None:
    """Serve the registry's models over gRPC. Every flag is also an environment variable, such as BERTLINE_PORT."""
    if as_process:
        _serve_as_process()
        return
    try:
        found = configured(InferenceSettings, config, flags)
    except BadSettings as error:
        sys.stderr.write(f"{error}\n")
        raise typer.Exit(2) from None
    if print_config:
        sys.stdout.write(found.print())
        return
    _serve(found.settings)


def _serve(settings: InferenceSettings) -> None:
    _quiet_core()
    from services.platform.logs import configure
    from services.platform.processes import NotStarted
    from services.platform.server import ServerNotStarted

    configure(settings.log_style, settings.log_level)
    if settings.processes == 1:
        _run(settings)
        return
    from services.inference.processes import run

    try:
        run(settings)
    except ServerNotStarted as error:
        _cannot_start(error)
    except NotStarted as error:
        raise typer.Exit(error.code if error.code > 0 else 1) from None


def _serve_as_process() -> None:
    """One of several: `services.inference.processes` sends a line of JSON and gets one."""
    _quiet_core()
    given = json.loads(sys.stdin.buffer.readline())
    if given["cores"]:
        os.sched_setaffinity(0, given["cores"])
    from services.inference.assembly import Membership
    from services.platform.logs import configure

    settings = InferenceSettings(**given["settings"])
    configure(settings.log_style, settings.log_level, process=given["number"])
    _run(settings, Membership(sys.stdin.fileno(), _answer))


def _run(settings: InferenceSettings, membership: Any = None) -> None:
    from services.inference.assembly import run
    from services.inference.execution.session import DeviceUnavailable
    from services.inference.versions.models import NothingLoaded
    from services.platform.server import ServerNotStarted

    try:
        run(settings, membership)
    except (NothingLoaded, DeviceUnavailable, ServerNotStarted) as error:
        _cannot_start(error)


def _answer(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def _cannot_start(error: Exception) -> None:
    sys.stderr.write(f"the server cannot start: {error}\n")
    raise typer.Exit(2) from None


def _quiet_core() -> None:
    """gRPC's C++ core writes lines of its own between ours, such as one for each failed handshake."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")


if __name__ == "__main__":
    app()
