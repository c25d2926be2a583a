"""The shipped examples, and a stock gRPC command line, against a real server process."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.tiny_bundle import (
    publish_tiny,
    publish_tiny_embedding,
    publish_tiny_pair_scoring,
    publish_tiny_regression,
    publish_tiny_tagging,
)

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
REQUIREMENTS = EXAMPLES / "triton" / "requirements.txt"
START_S = 60.0


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """host:port of `python -m services.inference` with the models `tiny`, `vectors`, `ranker`, `stars` and `tagger`."""
    folder = tmp_path_factory.mktemp("server")
    publish_tiny(folder / "models")
    publish_tiny_embedding(folder / "models")
    publish_tiny_pair_scoring(folder / "models")
    publish_tiny_regression(folder / "models")
    publish_tiny_tagging(folder / "models")
    log = folder / "log"
    command = [sys.executable, "-m", "services.inference", "--registry", str(folder / "models")]
    with log.open("wb") as file:
        process = subprocess.Popen([*command, "--port", "0", "--metrics-port", "0"], stderr=file, cwd=ROOT)
    try:
        yield f"127.0.0.1:{port_in(log, process)}"
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, log.read_text()


def port_in(log: Path, process: subprocess.Popen[bytes]) -> int:
    """The port that the server says it listens on."""
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        found = re.search(r'"port": (\d+).*"event": "serving"', log.read_text())
        if found:
            return int(found.group(1))
        time.sleep(0.05)
    raise AssertionError(f"the server did not start:\n{log.read_text()}")


@pytest.fixture(scope="module")
def triton_python() -> Path:
    """The Python of an environment with tritonclient, made once for each content of its requirements."""
    name = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    folder = ROOT / "build" / f"triton-venv-{name}"
    python = folder / "bin" / "python"
    ready = folder / ".ready"
    if not ready.exists():
        venv.create(folder, clear=True, with_pip=True)
        run([str(python), "-m", "pip", "install", "--quiet", "-r", str(REQUIREMENTS)], timeout=280)
        ready.touch()
    return python


@pytest.fixture(scope="module")
def node_example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the Node example with its packages installed as the lock file says."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed: the Node example was not run")
    folder = tmp_path_factory.mktemp("node") / "example"
    shutil.copytree(EXAMPLES / "node", folder, ignore=shutil.ignore_patterns("node_modules"))
    run(["npm", "ci", "--no-audit", "--no-fund"], cwd=folder, timeout=280)
    return folder


def run(
    command: list[str], cwd: Path = ROOT, timeout: float = 60.0, **environment: str
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, **environment},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_the_stubs_example_prints_labels(target: str) -> None:
    lines = run([sys.executable, "examples/python/classify.py", target, "tiny"]).stdout.splitlines()
    assert re.search(r"central bank.*  ->  business 0\.\d{3}, \w+ 0\.\d{3}$", lines[0])
    assert re.search(r"^球队.*  ->  sports 0\.\d{3}, \w+ 0\.\d{3}$", lines[1])
    assert lines[2] == "answered by tiny version 1 (fp32)"


def test_the_typed_example_prints_results_item_errors_and_call_errors(target: str) -> None:
    lines = run([sys.executable, "examples/python/typed_client.py", target, "tiny"]).stdout.splitlines()
    assert lines[0].startswith("sports ")
    assert lines[1].startswith("business ") or lines[1].startswith("technology ")
    assert lines[2] == "TEXT_EMPTY: the text is empty"
    assert lines[3].startswith("MODEL_NOT_FOUND: no model is named 'no-such-model'")
    assert re.fullmatch(r"server \d+\.\d ms, correlation id [0-9a-f]{16}", lines[4])


def example(name: str, target: str, model: str, lines: str = "") -> list[str]:
    command = [sys.executable, f"examples/python/{name}.py", target, model]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, input=lines, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_the_embedding_example_shows_which_text_is_near(target: str) -> None:
    near, far = example("embed", target, "vectors")
    assert float(near.split()[0]) > float(far.split()[0])


def test_the_file_with_a_tokenizer_inside_answers_without_a_server(tmp_path: Path) -> None:
    publish_tiny(tmp_path / "models")
    file = tmp_path / "tiny.onnx"
    export = ["export", "text-graph", "tiny", "--registry", str(tmp_path / "models"), "--out", str(file)]
    run([sys.executable, "-m", *export], timeout=240)
    # as a client that has neither this project nor a tokenizer
    texts = ["The bank cut its rate.", "球队赢了比赛"]
    lines = run([sys.executable, str(EXAMPLES / "python" / "text_graph.py"), str(file), *texts], cwd=tmp_path)
    first, second = lines.stdout.splitlines()
    assert re.fullmatch(r"business  0\.\d{3}  The bank cut its rate\.", first)
    assert re.fullmatch(r"sports  0\.\d{3}  球队赢了比赛", second)


@pytest.mark.parametrize("model", ["ranker", "vectors"])
def test_the_scoring_example_ranks_with_either_kind_of_model(target: str, model: str) -> None:
    first, second, third = example("score", target, model)
    assert first.endswith("The bank cut its rate by a quarter point.")
    assert second.endswith("The coach praised her team.")
    assert third == "candidate 2: the text is empty"


def test_the_regression_example_prints_numbers_and_what_fails_alone(target: str) -> None:
    *numbers, empty = example("regress", target, "stars")
    assert [line[8:] for line in numbers] == [
        "  A film to see twice.",
        "  We left before the end.",
        "  这部电影很好看。",
    ]
    assert all(math.isfinite(float(line[:8])) for line in numbers)
    assert empty == "   error  the text is empty"


def test_the_tagging_example_finds_names_also_at_the_end_of_a_long_text(target: str) -> None:
    first, second, third = example("tag", target, "tagger")
    assert first == "PER 'Ada Lovelace', LOC 'Paris', LOC 'New York' (1 windows)"
    assert second == "PER '王明', LOC '北京' (1 windows)"
    assert third.startswith("PER 'Alan Turing' (")


def test_the_explanation_example_names_the_words(target: str) -> None:
    first, *words = example("explain", target, "tiny")
    assert re.fullmatch(r"sports 0\.\d{3}, explained by \d+ readings of the text", first)
    contributions = {line.split()[-1]: float(line.split()[0]) for line in words}
    assert contributions["goal"] > 0 > contributions["bank"]


def test_the_bulk_example_labels_every_line_in_its_place(target: str) -> None:
    labels = example("classify_many", target, "tiny", "bank\n球队\n\nrobot\n" * 100)
    assert labels == ["business", "sports", "error: TEXT_EMPTY", "technology"] * 100


def test_the_triton_example_runs_unmodified_tritonclient(target: str, triton_python: Path) -> None:
    lines = run([str(triton_python), "examples/triton/classify.py", target, "tiny"]).stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["business", "sports"]
    assert all(0.5 < float(line.split()[1]) <= 1.0 for line in lines)


def test_the_triton_example_has_ten_lines() -> None:
    lines = (EXAMPLES / "triton" / "classify.py").read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if line.strip()]) == 10


TRITON_SESSION = """
import json, queue, sys
import numpy as np
import tritonclient.grpc as triton

client, seen = triton.InferenceServerClient(sys.argv[1]), {}
seen["live"] = [client.is_server_live(), client.is_server_ready()]
seen["ready"] = [client.is_model_ready("tiny"), client.is_model_ready("absent")]
seen["server"] = client.get_server_metadata().name
seen["inputs"] = [[i.name, i.datatype, list(i.shape)] for i in client.get_model_metadata("tiny").inputs]
seen["config"] = client.get_model_config("tiny", as_json=True)["config"]["max_batch_size"]
seen["index"] = [model.name for model in client.get_model_repository_index().models]

text = triton.InferInput("text", [2, 1], "BYTES")
text.set_data_from_numpy(np.array([["bank"], ["球队"]], dtype=object))
top = triton.InferRequestedOutput("probabilities", class_count=1)
answer = client.infer("tiny", [text], outputs=[top], request_id="r-1", timeout=5_000_000, priority=1)
seen["classes"] = [each.decode().split(":")[2] for each in answer.as_numpy("probabilities").ravel()]
seen["id"] = answer.get_response().id

ids, mask = triton.InferInput("input_ids", [1, 3], "INT64"), triton.InferInput("attention_mask", [1, 3], "INT64")
ids.set_data_from_numpy(np.array([[2, 5, 3]]))
mask.set_data_from_numpy(np.array([[1, 1, 1]]))
seen["from ids"] = client.infer("tiny", [ids, mask]).as_numpy("label")[0].decode()

replies = queue.Queue()
client.start_stream(lambda result, error: replies.put((result, error)))
for name in ("tiny", "absent", "tiny"):
    client.async_stream_infer(name, [text], request_id=name)
seen["stream"] = []
for _ in range(3):
    result, error = replies.get(timeout=20)
    seen["stream"].append(str(error) if error else result.get_response().id)
client.stop_stream()

seen["failures"] = []
for model, raw in (("absent", b"bank"), ("tiny", b"\\xff")):
    one = triton.InferInput("text", [1], "BYTES")
    one.set_data_from_numpy(np.array([raw], dtype=object))
    try:
        client.infer(model, [one])
    except triton.InferenceServerException as error:
        seen["failures"].append([error.status(), error.message()])
seen["counted"] = client.get_inference_statistics("tiny", as_json=True)["model_stats"][0]["inference_count"]
client.unload_model("tiny")
seen["unloaded"] = client.is_model_ready("tiny")
client.load_model("tiny")
seen["loaded"] = client.is_model_ready("tiny")
try:
    client.load_model("absent")
except triton.InferenceServerException as error:
    seen["failures"].append([error.status(), error.message()])
seen["extensions"] = list(client.get_server_metadata().extensions)
print(json.dumps(seen))
"""


def test_tritonclient_finds_everything_that_it_asks_for(target: str, triton_python: Path) -> None:
    seen = json.loads(run([str(triton_python), "-c", TRITON_SESSION, target], PYTHONWARNINGS="ignore").stdout)
    assert seen["live"] == [True, True]
    assert seen["ready"] == [True, False]
    assert seen["server"] == "bertline"
    assert seen["inputs"] == [["text", "BYTES", [-1, 1]]]
    assert seen["config"] == 256
    assert "tiny" in seen["index"]
    assert seen["classes"] == ["business", "sports"]
    assert seen["id"] == "r-1"
    assert seen["from ids"] == "business"
    assert seen["stream"][0::2] == ["tiny", "tiny"]
    assert "'absent'" in seen["stream"][1]
    assert [status for status, _ in seen["failures"]] == [
        *("StatusCode.NOT_FOUND", "StatusCode.INVALID_ARGUMENT", "StatusCode.NOT_FOUND")
    ]
    assert "element 0 is not UTF-8" in seen["failures"][1][1]
    assert (seen["unloaded"], seen["loaded"]) == (False, True)
    assert "model_repository" in seen["extensions"]
    assert int(seen["counted"]) >= 7


def test_the_node_example_prints_labels(target: str, node_example: Path) -> None:
    command = ["node", "classify.js", target, "tiny"]
    lines = run(command, cwd=node_example, BERTLINE_PROTOS=str(ROOT / "protos")).stdout.splitlines()
    assert re.search(r"chip.*  ->  technology 0\.\d{3}, \w+ 0\.\d{3}$", lines[0])
    assert re.search(r"^央行.*  ->  \w+ 0\.\d{3}, \w+ 0\.\d{3}$", lines[1])
    assert lines[2] == "answered by tiny version 1 (fp32)"


def test_the_node_lock_file_names_no_host() -> None:
    lock = json.loads((EXAMPLES / "node" / "package-lock.json").read_text(encoding="utf-8"))
    packages = {name: facts for name, facts in lock["packages"].items() if name}
    assert packages
    assert all("resolved" not in facts and facts["integrity"] for facts in packages.values())


def test_a_stock_command_line_calls_through_reflection(target: str) -> None:
    buf = Path(sys.executable).with_name("buf")
    request = {"model": {"name": "tiny"}, "inputs": [{"text": "bank rate"}, {"text": "球队比赛"}, {"text": ""}]}
    url = f"http://{target}/bertline.inference.v1.InferenceService/Classify"
    options = ["--protocol", "grpc", "--http2-prior-knowledge", "--reflect", "-d", json.dumps(request)]
    reply = json.loads(run([str(buf), "curl", *options, url]).stdout)
    labels = [result["classification"]["labels"][0]["label"] for result in reply["results"][:2]]
    assert labels == ["business", "sports"]
    error = reply["results"][2]["error"]
    assert error["message"] == "the text is empty"
    assert error["details"][0]["reason"] == "TEXT_EMPTY"


def test_the_open_protocol_is_found_through_reflection_too(target: str) -> None:
    buf = Path(sys.executable).with_name("buf")
    options = ["--protocol", "grpc", "--http2-prior-knowledge", "--reflect", "-d", '{"name":"tiny"}']
    done = run([str(buf), "curl", *options, f"http://{target}/inference.GRPCInferenceService/ModelReady"])
    assert json.loads(done.stdout) == {"ready": True}
