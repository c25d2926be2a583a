"""`python -m training ...` and `python -m export ...` as processes of their own that start at once.

A new Python takes seconds to import torch and what goes with it. Here one process has imported them and forks for each
command. What it forks is a process like any other: it has a pid and an output of its own, ends with an exit status, and
dies of SIGKILL. That the commands start in a new Python, too, is for `python_m` to show.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 240.0

# without onnxruntime, which starts a thread as it is imported: forks have none of their parent's threads
PRELOADED = (
    "pytest",  # which multiprocessing imports anew in each fork, if `pytest` is the main program
    "training.__main__",
    "export.terminal",
    "export.manifest",
    "training.audit.folds",
    "training.embedding.fitting",
    "training.fine_tuning",
    "training.pretraining.pretraining",
    "training.report.making",
    "training.search.worker",
    "transformers.models.bert.modeling_bert",
    "optimum.exporters.onnx.model_configs",
    "datasketch",
    "ftfy",
    "matplotlib.pyplot",
    "torch.utils.tensorboard",
)
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(list(PRELOADED))


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it wrote to either stream."""

    status: int
    output: str


class Command:
    """A running command: the words after `python -m`."""

    def __init__(self, words: tuple[str, ...], output: Path) -> None:
        self._output = output
        self._process = _forks.Process(target=_command, args=(words, str(output), dict(os.environ)))
        self._process.start()

    @property
    def running(self) -> bool:
        return self._process.is_alive()

    def kill(self) -> None:
        """With SIGKILL."""
        self._process.kill()
        self._process.join()

    def ended(self) -> Ended:
        """Waits for its end."""
        self._process.join(PATIENCE_S)
        assert self._process.exitcode is not None, f"does not end:\n{self.output}"
        return Ended(self._process.exitcode, self.output)

    @property
    def output(self) -> str:
        """What it has written so far."""
        return self._output.read_text(encoding="utf-8") if self._output.exists() else ""


def _command(words: tuple[str, ...], output: str, environment: dict[str, str]) -> None:
    """What the fork does: as `python -m` in the project's folder."""
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.environ.clear()
    os.environ.update(environment, COLUMNS="140")  # the width where output is no terminal, chosen before the fork
    os.chdir(ROOT)
    sys.argv = list(words)
    runpy.run_module(words[0], run_name="__main__", alter_sys=True)


@contextmanager
def started(*words: str) -> Iterator[Command]:
    """A command that is killed with the block, if it has not ended."""
    with tempfile.TemporaryDirectory() as folder:
        command = Command(words, Path(folder) / "output")
        try:
            yield command
        finally:
            command.kill()


def ended(*words: str) -> Ended:
    """Runs a command to its end."""
    with started(*words) as command:
        return command.ended()


def finished(*words: str) -> str:
    """Runs a command that must end well; returns what it wrote."""
    done = ended(*words)
    assert done.status == 0, done.output
    return done.output


def python_m(*words: str) -> str:
    """As `finished`, in a new Python."""
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def kill_after_a_checkpoint(words: Sequence[str], trainer: Path, fits: Callable[[int], bool] = bool) -> int:
    """Kills a command with SIGKILL some updates past a complete checkpoint whose step fits; returns the step."""
    with started(*words) as command:
        until = time.monotonic() + PATIENCE_S
        while not (steps := [step for step in _checkpoints(trainer) if fits(step)]):
            assert command.running, command.output
            assert time.monotonic() < until, "no such checkpoint appeared"
            time.sleep(0.02)
        time.sleep(0.1)  # some updates more, so that work is lost and done again
        assert command.running, "the run ended before it could be killed"
    return max(steps)


def _checkpoints(trainer: Path) -> list[int]:
    """The steps of the complete ones."""
    return [int(path.parent.name.partition("-")[2]) for path in trainer.glob("checkpoint-*/trainer_state.json")]
