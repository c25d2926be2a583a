"""Build hook: generates Python stubs and their types beside every .proto file.

Runs on `pip install`, also of an editable install, so nobody ever has to call protoc by hand; `make protos` calls
`python stub_generation.py` after an edit, and `make check` proves with `--check` that the stubs are those of today's
.proto files.
"""

from __future__ import annotations

import os
import sys
import tempfile
from importlib import resources
from pathlib import Path
from typing import Any

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent
PACKAGES = ("bertline", "open_inference")
SUFFIXES = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py", "_pb2_grpc.pyi")


def proto_files() -> list[str]:
    """All contracts, relative to this directory, in a stable order."""
    return sorted(str(path.relative_to(ROOT)) for package in PACKAGES for path in (ROOT / package).rglob("*.proto"))


def run_protoc(*outputs: str) -> None:
    """Compiles every contract. Raises RuntimeError when protoc refuses a file."""
    well_known = resources.files("grpc_tools") / "_proto"
    googleapis = Path(str(resources.files("google.rpc") / "status.proto")).parents[2]
    arguments = [
        "protoc",
        f"--proto_path={ROOT}",
        f"--proto_path={well_known}",
        f"--proto_path={googleapis}",
        *outputs,
        *proto_files(),
    ]
    # protoc finds its plugins on PATH, where those of an environment that is not activated are not
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    if protoc.main(arguments) != 0:
        raise RuntimeError("protoc refused a .proto file; its message stands above")


def generate(out: Path) -> None:
    """Writes the stubs of every .proto file under `out`."""
    run_protoc(
        f"--python_out={out}", f"--grpc_python_out={out}", f"--mypy_out=quiet:{out}", f"--mypy_grpc_out=quiet:{out}"
    )


def outdated() -> list[str]:
    """Generated files that are missing, stale or left over from a .proto file that is gone."""
    with tempfile.TemporaryDirectory() as aside:
        generate(Path(aside))
        fresh = {str(path.relative_to(aside)): path.read_bytes() for path in Path(aside).rglob("*") if path.is_file()}
    present = {
        str(path.relative_to(ROOT)): path.read_bytes()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*_pb2*")
        if path.name.endswith(SUFFIXES)
    }
    return sorted(name for name in fresh.keys() | present.keys() if fresh.get(name) != present.get(name))


try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # called by hand or by `make check`, outside a build
    pass
else:

    class StubGeneration(BuildHookInterface):  # type: ignore[misc]  # hatchling is there in builds only
        """Makes the stubs before hatchling collects the wheel's files."""

        PLUGIN_NAME = "custom"

        def initialize(self, version: str, build_data: dict[str, Any]) -> None:
            """Called by hatchling for wheels and for editable installs alike."""
            generate(ROOT)


def main(arguments: list[str]) -> None:
    """Without arguments: generate. `--check`: prove. `--descriptors FILE`: write a descriptor set, for buf."""
    count = len(proto_files())
    match arguments:
        case []:
            generate(ROOT)
            print(f"generated the stubs of {count} .proto files")
        case ["--check"]:
            if stale := outdated():
                sys.exit("generated stubs are not up to date, run `make protos`: " + ", ".join(stale))
            print(f"stubs of {count} .proto files are up to date")
        case ["--descriptors", file]:
            run_protoc(f"--descriptor_set_out={file}", "--include_imports", "--include_source_info")
        case _:
            sys.exit(main.__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
