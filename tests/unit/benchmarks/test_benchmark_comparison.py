"""The whole course against a real server process that answers at once, and a limit that is a fake."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from bertline.inference.v1 import inference_pb2 as pb
from typer.testing import CliRunner

from benchmarks import comparison, messages, serving
from benchmarks.generator import Call, Generator
from benchmarks.limit import Layout, Rate
from benchmarks.server_metrics import Counters
from benchmarks.server_process import (
    ServerFailed,
    ServerProcess,
    cpu_seconds,
    family,
    free_port,
    inference_command,
    memory_bytes,
    running,
)
from benchmarks.texts import Text

TEXTS: list[Text] = ["where is my card", "卡丢了怎么办", "a refund, please"] * 400


class FakeLimit:
    """Says the same rate whatever it is asked; its model answers with label number `best`."""

    def __init__(self, best: int) -> None:
        self._best = best
        self.layout = Layout(1, 1, 4)
        self.grid: dict[Layout, float] = {}
        self.measured: list[int] = []
        self.asked: list[Text] = []

    def choose(self, draw: object, seconds: float = 1.0) -> Layout:
        self.grid = {self.layout: 50.0}
        return self.layout

    def measure(self, texts: Sequence[Text]) -> Rate:
        self.measured.append(len(texts))
        return Rate(50.0, 0.01, 0.0)

    def logits(self, text: Text) -> np.ndarray:
        return np.eye(2, dtype=np.float32)[self._best]

    def bare(self, text: Text) -> np.ndarray:
        self.asked.append(text)
        return self.logits(text)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.echo", "--serve", "aio", "--port", str(port)]
    with running(command, port, tmp_path_factory.mktemp("logs") / "server.log") as process:
        yield process


def compare(
    server: ServerProcess, limit: FakeLimit, labels: list[str], texts_per_call: int = 1
) -> comparison.Comparison:
    return comparison.Comparison("echo", TEXTS, texts_per_call, limit, server, labels)  # type: ignore[arg-type]  # a fake


def test_a_level_stands_between_limits_measured_around_it(server: ServerProcess) -> None:
    limit = FakeLimit(best=0)
    course = compare(server, limit, ["echo", "other"])
    course.prepare(0.4)
    first, second = course.level(2, 0.2, rounds=2), course.level(9, 0.2, rounds=2)
    assert limit.measured == [100] * 5, "before, between and after: 1 + 2 + 2, two seconds' worth of texts each"
    for found, callers in ((first, 2), (second, 9)):
        assert (found.callers, found.limits, found.errors) == (callers, [50.0] * 3, {})
        assert found.ratio.value == found.texts_per_second / 50.0
        assert found.texts > callers
    assert course.agreement() == 1.0


def test_calls_of_several_texts_count_as_that_many(server: ServerProcess) -> None:
    course = compare(server, FakeLimit(best=0), ["echo", "other"], texts_per_call=4)
    course.prepare(0.1)
    found = course.level(2, 0.1, rounds=2)
    assert found.errors == {}
    assert found.texts % 4 == 0
    assert course.agreement() == 1.0


def test_a_window_of_the_limit_is_as_long_as_one_of_the_server(server: ServerProcess) -> None:
    limit = FakeLimit(best=0)
    course = compare(server, limit, ["echo", "other"])
    course._measure_limit(20.0)
    assert len(limit.measured) == 10
    assert [rate.texts_per_second for rate in course._limits] == [pytest.approx(50.0)]


def test_a_lone_caller_is_measured_beside_the_bare_session(server: ServerProcess) -> None:
    limit = FakeLimit(best=0)
    found = compare(server, limit, ["echo", "other"]).lone(0.0)
    assert found.texts == 32
    assert limit.asked[:2] != limit.asked[2:4]
    assert found.server_p50_ms > found.bare_p50_ms > 0
    assert found.difference_ms == found.server_p50_ms - found.bare_p50_ms


def test_what_the_server_counts_between_the_ends_of_a_window_is_its_own(server: ServerProcess) -> None:
    numbers = iter(range(100))

    def counters() -> Counters:
        number = next(numbers)
        return Counters(number, 4 * number, 13 * number, 3 * number, 0, {})

    limit = FakeLimit(best=0)
    course = comparison.Comparison("echo", TEXTS, 1, limit, server, ["echo"], counters)  # type: ignore[arg-type]  # a fake
    course.prepare(0.1)
    found = course.level(1, 0.1, rounds=2)
    assert (found.waste, found.batch_texts) == (1.3, 4.0)


def test_labels_that_the_model_does_not_have_are_errors_and_others_disagree(server: ServerProcess) -> None:
    course = compare(server, FakeLimit(best=1), ["refund", "card"])
    course.prepare(0.1)
    found = course.level(1, 0.2, rounds=1)
    assert found.errors == {"wrong answer": found.texts}
    assert course.agreement() == 0.0


def test_a_reply_is_an_answer_only_with_one_label_for_each_text() -> None:
    def call(*results: pb.ClassifyResult) -> Call:
        return Call(0, 0.0, 1.0, 0, pb.ClassifyResponse(results=results).SerializeToString())

    def labelled(*labels: pb.LabelScore) -> pb.ClassifyResult:
        return pb.ClassifyResult(classification=pb.Classification(labels=labels))

    good = labelled(pb.LabelScore(label="a", probability=0.75))
    assert messages.answers(call(good), 1) == [messages.Answer("a", 0.75)]
    assert messages.answers(call(good, good), 2) == [messages.Answer("a", 0.75)] * 2
    bad = [
        call(),
        call(good, good),
        call(labelled()),
        call(labelled(pb.LabelScore(label="a"))),
        call(pb.ClassifyResult()),
    ]
    assert [messages.answers(each, 1) for each in bad] == [None] * 5
    assert messages.answers(call(good, labelled()), 2) is None
    assert messages.wrong([call(good), *bad], ["a"], 1) == 5
    assert messages.wrong([call(good, labelled(pb.LabelScore(label="b", probability=1.0)))], ["a"], 2) == 1
    assert messages.wrong([Call(0, 0.0, 1.0, 14, b"")], ["a"], 1) == 0, "failed calls are counted by status"


def test_requests_carry_texts_and_pairs() -> None:
    request = pb.ClassifyRequest.FromString(messages.request("intents", ("问题", "答案")))
    assert (request.model.name, request.inputs[0].text, request.inputs[0].text_pair) == ("intents", "问题", "答案")
    several = pb.ClassifyRequest.FromString(messages.request("intents", "x", "y"))
    assert [each.text for each in several.inputs] == ["x", "y"]
    assert not pb.ClassifyRequest.FromString(messages.request("intents", "x")).inputs[0].HasField("text_pair")


def test_the_servers_processor_time_grows_with_its_calls(server: ServerProcess) -> None:
    before = server.cpu_seconds()
    request = messages.request("echo", "x")
    with Generator(server.address, messages.PATH, 4) as generator:
        while server.cpu_seconds() == before:
            generator.run(((0, request) for _ in iter(int, 1)), 0.1)
    assert before < server.cpu_seconds() <= cpu_seconds(server.pid) + 1


def test_a_server_that_ends_at_once_is_reported_with_its_log(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('no model'); raise SystemExit(2)"]
    with pytest.raises(ServerFailed, match=r"exit code 2.*server\.log"), running(command, 1, tmp_path / "server.log"):
        pass
    assert (tmp_path / "server.log").read_text() == "no model\n"


def test_a_server_that_is_never_healthy_is_given_up(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    port = free_port()
    with pytest.raises(ServerFailed, match="not healthy"), running(command, port, tmp_path / "log", timeout=0.1):
        pass


def test_the_inference_server_is_started_as_users_start_it() -> None:
    command = inference_command("models", "news", 5, 6)
    assert command[1:3] == ["-m", "services.inference"]
    assert " ".join(command[3:]) == "--registry models --models news --port 5 --metrics-port 6"
    assert inference_command("models", "news", 5, 6, processes=3)[-2:] == ["--processes", "3"]


def test_a_process_is_watched_with_those_that_it_started(tmp_path: Path) -> None:
    program = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1, flush=True); input()'])"
    process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdin is not None
    process.stdout.readline()
    watched = ServerProcess(("127.0.0.1", 1), process.pid)
    assert len(family(process.pid)) == 2
    assert watched.memory_bytes() > memory_bytes(process.pid) > 1 << 20
    assert watched.cpu_seconds() >= cpu_seconds(process.pid) > 0
    assert watched.alive()
    process.stdin.close()
    process.wait()
    process.stdout.close()
    assert not watched.alive()
    assert (watched.memory_bytes(), watched.cpu_seconds()) == (0, 0.0)


@pytest.mark.parametrize("callers", ["", "0", "1,x"])
def test_senseless_levels_are_refused(callers: str) -> None:
    result = CliRunner().invoke(serving.app, ["--model", "m", "--callers", callers])
    assert result.exit_code == 2
    assert "callers" in result.output


def test_a_missing_file_of_texts_is_named_with_what_to_do(tmp_path: Path) -> None:
    missing = tmp_path / "none.csv"
    result = CliRunner().invoke(serving.app, ["--model", "m", "--texts", str(missing)])
    assert result.exit_code == 2
    assert "none.csv" in result.output
    assert "--texts" in result.output
