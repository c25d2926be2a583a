"""A folder is emptied for another attempt only when an attempt made it, and is known as ours until it is empty."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.attempts import discard_other_attempt, remove, replacing, resume_nothing
from training.failures import InvalidSettings
from training.run import RunDirectory


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_folder_that_no_attempt_made_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "docs" / "deep").mkdir(parents=True)
    (tmp_path / "docs" / "deep" / "page.md").write_text("mine", encoding="utf-8")
    with pytest.raises(InvalidSettings, match=r"remove it, or choose another name"):
        discard_other_attempt(RunDirectory(tmp_path / "docs"), "a")
    assert files(tmp_path) == {"docs/deep/page.md"}


def test_what_another_attempt_left_is_removed_and_what_this_one_left_is_kept(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    discard_other_attempt(run, "a")
    (run.trainer / "checkpoint-1").mkdir()
    (run.trainer / "checkpoint-1" / "state").touch()
    run.data.mkdir()
    discard_other_attempt(run, "a")
    assert files(run.root) == {"trainer/fingerprint", "trainer/checkpoint-1/state"}
    discard_other_attempt(run, "b")
    assert files(run.root) == {"trainer/fingerprint"}
    assert not run.data.exists()


def test_what_is_to_be_made_anew_stays_until_the_next_attempt_begins(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    resume_nothing(run)
    assert not run.root.exists()
    discard_other_attempt(run, "a")
    run.record_path.write_text("{}", encoding="utf-8")
    (run.trainer / "checkpoint-1").mkdir()
    (run.trainer / "checkpoint-1" / "state").touch()
    resume_nothing(run)
    assert files(run.root) == {"run.json", "trainer/fingerprint", "trainer/checkpoint-1/state"}
    discard_other_attempt(run, "a")
    assert files(run.root) == {"trainer/fingerprint"}


def test_a_complete_run_whose_trainer_is_gone_is_ours(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    run.record_path.write_text("{}", encoding="utf-8")
    (tmp_path / "model").touch()
    discard_other_attempt(run, "a")
    assert files(tmp_path) == {"trainer/fingerprint"}


@pytest.mark.parametrize("record", [True, False])
def test_a_kill_while_it_is_emptied_leaves_it_ours_and_resumes_nothing(
    tmp_path: Path, record: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunDirectory(tmp_path / "run")
    if record:
        run.root.mkdir()
        run.record_path.touch()
    else:
        discard_other_attempt(run, "a")
    for name in ("one", "two"):
        (run.root / name).mkdir()
        (run.root / name / "file").touch()

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("training.attempts.shutil.rmtree", killed)
        discard_other_attempt(run, "b")
    assert not run.record_path.exists()
    discard_other_attempt(run, "a")
    assert files(run.root) == {"trainer/fingerprint"}


def complete(folder: Path, fingerprint: str) -> RunDirectory:
    run = RunDirectory(folder / "run")
    discard_other_attempt(run, fingerprint)
    run.record_path.write_text(fingerprint, encoding="utf-8")
    return run


def test_a_complete_run_comes_back_when_its_replacement_fails(tmp_path: Path) -> None:
    run = complete(tmp_path, "a")
    with pytest.raises(InvalidSettings), replacing(run, "b"):
        (run.root / "half").touch()
        assert not run.record_path.exists()
        raise InvalidSettings("too long")
    assert files(tmp_path) == {"run/run.json", "run/trainer/fingerprint"}
    assert run.record_path.read_text(encoding="utf-8") == "a"


def test_attempts_that_are_killed_leave_the_complete_run_waiting(tmp_path: Path) -> None:
    run = complete(tmp_path, "a")
    for attempt in ("b", "b", "c"):
        with pytest.raises(KeyboardInterrupt), replacing(run, attempt):
            raise KeyboardInterrupt
        assert (tmp_path / ".run.earlier" / "run.json").read_text(encoding="utf-8") == "a"
    with replacing(run, "c"):
        run.record_path.write_text("c", encoding="utf-8")
    assert files(tmp_path) == {"run/run.json", "run/trainer/fingerprint"}
    assert run.record_path.read_text(encoding="utf-8") == "c"


def test_an_attempt_that_fails_with_nothing_waiting_can_be_gone_on_from(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    with pytest.raises(InvalidSettings), replacing(run, "a"):
        (run.trainer / "checkpoint-1").touch()
        raise InvalidSettings("too long")
    assert files(run.root) == {"trainer/fingerprint", "trainer/checkpoint-1"}


def test_of_several_processes_the_first_alone_moves_anything(tmp_path: Path) -> None:
    run = complete(tmp_path, "a")
    with pytest.raises(InvalidSettings), replacing(run, "b", first=False):
        raise InvalidSettings("too long")
    assert files(tmp_path) == {"run/run.json", "run/trainer/fingerprint"}


def test_a_kill_while_a_folder_is_removed_leaves_it_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = complete(tmp_path, "a")
    (run.root / "data").mkdir()
    (run.root / "data" / "file").touch()

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("training.attempts.shutil.rmtree", killed)
        remove(run)
    discard_other_attempt(run, "a")
    remove(run)
    assert not run.root.exists()
