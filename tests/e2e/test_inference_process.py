"""The inference server as a process of its own: what it imports, how it starts, stops and refuses."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from services.clients import Classified, InferenceClient
from tests.fakes.tiny_bundle import publish_tiny

ROOT = Path(__file__).resolve().parents[2]
FORBIDDEN = {"torch", "transformers", "optimum", "sklearn", "pandas", "datasets", "matplotlib", "training"}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("registry")
    publish_tiny(folder, "tiny")
    return folder


def start(registry: Path, *more: str) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "services.inference",
        "--registry",
        str(registry),
        "--port",
        "0",
        "--metrics-port",
        "0",
    ]
    return subprocess.Popen([*command, *more], cwd=ROOT, stderr=subprocess.PIPE, text=True)


def event(process: subprocess.Popen[str], name: str) -> dict[str, Any]:
    """Reads the log up to the line of an event."""
    assert process.stderr is not None
    for line in process.stderr:
        entry: dict[str, Any] = json.loads(line) if line.startswith("{") else {}
        if entry.get("event") == name:
            return entry
    raise AssertionError(f"the process ended without {name!r}")


@pytest.fixture
def server(registry: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    process = start(registry)
    try:
        yield process, event(process, "serving")
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


def test_the_server_answers_and_counts_and_stops_cleanly(server: tuple[subprocess.Popen[str], dict[str, Any]]) -> None:
    process, serving = server
    with InferenceClient(f"127.0.0.1:{serving['port']}") as client:
        result = client.classify(["the bank", "球队赢了比赛"], correlation_id="e2e-1").results[1]
    assert isinstance(result, Classified)
    assert result.best.name == "sports"
    with urllib.request.urlopen(f"http://127.0.0.1:{serving['metrics_port']}/metrics", timeout=10) as page:
        metrics = page.read().decode()
    assert 'bertline_inference_requests_total{code="OK",model="tiny",rpc="Classify"} 1.0' in metrics
    assert 'bertline_inference_batch_texts_sum{model="tiny",version="1"} 2.0' in metrics
    process.send_signal(signal.SIGTERM)
    assert event(process, "draining")["signal"] == "SIGTERM"
    event(process, "stopped")
    assert process.wait(timeout=30) == 0


def test_the_serving_process_imports_neither_torch_nor_transformers(registry: Path) -> None:
    program = f"""
import asyncio, json, sys
from services.inference.__main__ import app
from services.inference.assembly import InferenceServer
from services.inference.settings import InferenceSettings
async def main():
    server = await InferenceServer.start(InferenceSettings(registry={str(registry)!r}, port=0, metrics_port=0))
    await server.stop(1.0)
asyncio.run(main())
print(json.dumps(sorted({{name.partition(".")[0] for name in sys.modules}})))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert "onnxruntime" in loaded
    assert not FORBIDDEN & loaded


def refused(registry: Path, *more: str) -> str:
    process = start(registry, *more)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2, errors
    assert "Traceback" not in errors
    return errors


def test_cuda_that_cannot_be_had_is_an_error_not_a_fallback(registry: Path) -> None:
    import onnxruntime

    if Path("/dev/nvidia0").exists():
        pytest.skip("this machine has an NVIDIA GPU, so CUDA may be had")
    assert onnxruntime.__version__
    assert "CUDA" in refused(registry, "--device", "cuda")


def test_a_taken_port_is_named(registry: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"cannot listen on 127.0.0.1:{port}" in refused(registry, "--port", str(port))


def test_an_empty_registry_and_a_wrong_setting_are_explained(tmp_path: Path, registry: Path) -> None:
    assert "holds no labelled model" in refused(tmp_path)
    assert "setting device" in refused(registry, "--device", "tpu")
    assert "no model 'nope'" in refused(registry, "--models", "nope")


def test_a_killed_server_leaves_the_registry_servable(registry: Path) -> None:
    process = start(registry)
    event(process, "serving")
    process.kill()
    process.wait()
    assert process.stderr is not None
    process.stderr.close()
    again = start(registry)
    port = event(again, "serving")["port"]
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        grpc.channel_ready_future(channel).result(timeout=10)
    again.terminate()
    again.communicate(timeout=30)
    assert again.returncode == 0
