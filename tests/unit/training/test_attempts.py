"""A folder is emptied for another attempt only when an attempt made it, and is known as ours until it is empty."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.attempts import discard_other_attempt, resume_nothing
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
