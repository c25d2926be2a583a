"""A real search over a tiny BERT: the start is what fit does, hopeless trials end early, fit takes the best as it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console

from tests.fakes.study_worker import plain_study
from tests.fakes.tiny_encoder import toy_rows, write_rows, write_tiny_decoder, write_tiny_encoder
from training.encoding import EncodedDataset, EncodedExample
from training.failures import InvalidSettings
from training.fine_tuning import fine_tune
from training.reuse import step_fingerprint
from training.run import RunDirectory
from training.search.material import prepare_material
from training.search.results import StudyResult
from training.search.space import default_space
from training.search.trial import OutOfMemory, TrialOutcome, run_trial
from training.search.worker import RunTrial, SearchPlan, search
from training.settings import FineTuneSettings
from training.settings_reading import load_settings

# the rate is not spread over magnitudes, so that few proposals are hopeless by themselves
SPACE = """
learning_rate: {low: 1e-9, high: 4e-3}
epochs: {low: 3, high: 4}
pooling: {choices: [mean, cls]}
"""
COMPLETED = 5


class Searched:
    """A search that ran 5 trials, was given a hopeless one, and went on to 6."""

    def __init__(self, folder: Path) -> None:
        self.encoder = write_tiny_encoder(folder / "encoder")
        self.data = write_rows(folder / "rows.csv", toy_rows(240))
        self.space = folder / "space.yaml"
        self.space.write_text(SPACE, encoding="utf-8")
        self.folder = folder / "searches" / "toy"
        self.output = folder / "output.txt"
        self.settings = self.settings_for(self.data)
        with self.output.open("w", encoding="utf-8") as file:
            console = Console(file=file, width=200)
            search(self.settings, self.plan(COMPLETED), console)
            hopeless = {"learning_rate": 1e-9, "epochs": 4, "pooling": "mean"}
            with plain_study(f"sqlite:///{self.folder}/study.db", "toy") as study:
                study.enqueue_trial(hopeless)
            self.result: StudyResult = search(self.settings, self.plan(COMPLETED + 1), console)

    def settings_for(self, data: Path) -> FineTuneSettings:
        flags = {"name": "toy", "model": str(self.encoder), "learning_rate": 3e-3, "epochs": 4, "batch_size": 16}
        return load_settings(None, flags, {"path": str(data)})

    def plan(self, trials: int) -> SearchPlan:
        return SearchPlan(self.folder, trials, space=self.space)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Several threads gain nothing on a tiny model, and wait for one another where the cores are busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Searched:
    return Searched(tmp_path_factory.mktemp("search"))


def test_the_first_trial_is_what_fit_does_without_a_search(searched: Searched, tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "toy")
    record = fine_tune(searched.settings, run, step_fingerprint(searched.settings), Console(quiet=True))
    start = searched.result.trials[0]
    assert start.start and start.score == record.metrics["validation"]["accuracy"]


def test_a_hopeless_trial_ends_early(searched: Searched) -> None:
    hopeless = searched.result.trials[COMPLETED]
    assert hopeless.parameters["learning_rate"] == 1e-9
    assert hopeless.state == "pruned"
    assert list(hopeless.scores) == [1, 2]


def test_fit_takes_the_best_settings_and_ends_with_their_score(searched: Searched, tmp_path: Path) -> None:
    best = searched.result.best
    assert best is not None
    settings = load_settings(searched.folder / "best.yaml", {}, {})
    assert {name: getattr(settings, name) for name in best.parameters} == best.parameters
    record = fine_tune(settings, RunDirectory(tmp_path / "toy"), step_fingerprint(settings), Console(quiet=True))
    assert record.metrics["validation"]["accuracy"] == best.score


def test_what_a_search_leaves_behind(searched: Searched) -> None:
    assert {path.name for path in searched.folder.iterdir()} == {"best.yaml", "report.html", "study.db", "study.lock"}
    page = (searched.folder / "report.html").read_text(encoding="utf-8")
    assert "stopped early" in page and page.count("data:image/png;base64,") >= 3


def test_the_terminal_tells_each_trial_the_time_left_and_the_next_command(searched: Searched) -> None:
    output = searched.output.read_text(encoding="utf-8")
    assert "[1 of 5] trial 0: " in output and "left" in output
    assert f"[6 of 6] trial {COMPLETED}: " in output and "stopped after epoch 2" in output
    assert f"python -m training fit --config {searched.folder / 'best.yaml'}" in output


def test_a_finished_search_is_told_again_without_training(searched: Searched) -> None:
    again = search(searched.settings, searched.plan(COMPLETED + 1), Console(quiet=True))
    assert again == searched.result


def test_a_study_of_other_rows_or_settings_is_refused(searched: Searched, tmp_path: Path) -> None:
    others = write_rows(tmp_path / "rows.csv", toy_rows(240, seed=1))
    with pytest.raises(InvalidSettings, match=r"made with other data,.*--name, or remove"):
        search(searched.settings_for(others), searched.plan(9), Console(quiet=True))
    changed = searched.settings.model_copy(update={"max_grad_norm": 2.0})
    with pytest.raises(InvalidSettings, match="made with other settings, "):
        search(changed, searched.plan(9), Console(quiet=True))


def test_a_pooling_that_a_decoder_cannot_have_is_neither_tried_nor_taken(searched: Searched, tmp_path: Path) -> None:
    settings = searched.settings.model_copy(update={"model": str(write_tiny_decoder(tmp_path / "decoder"))})
    plan = replace(searched.plan(1), folder=tmp_path / "search")
    with pytest.raises(InvalidSettings, match=r"pooling: cls cannot stand for a text .* there are mean, last"):
        search(settings, plan, Console(quiet=True))
    material = prepare_material(settings, tmp_path / "tokenizer", Console(quiet=True))
    varied = default_space(material.settings, material.poolings).pooling
    assert varied is not None and varied.choices == ("mean", "last")


def failing(error: BaseException) -> RunTrial:
    """A trial that ends with this error."""

    def run(*_: object) -> TrialOutcome:
        raise error

    return run


def test_settings_that_need_too_much_memory_do_not_end_the_search(searched: Searched, tmp_path: Path) -> None:
    plan = SearchPlan(tmp_path, 2, space=searched.space)
    result = search(searched.settings, plan, Console(quiet=True), failing(OutOfMemory("CUDA out of memory")))
    assert [(trial.state, trial.failure) for trial in result.trials] == [("failed", "CUDA out of memory")] * 2
    assert not (tmp_path / "best.yaml").exists()


def test_a_fault_of_the_program_is_not_met_again_at_the_next_start(searched: Searched, tmp_path: Path) -> None:
    plan = SearchPlan(tmp_path, 1, space=searched.space)
    with pytest.raises(ZeroDivisionError):
        search(searched.settings, plan, Console(quiet=True), failing(ZeroDivisionError()))
    (trial,) = search(searched.settings, plan, Console(quiet=True)).trials
    assert trial.failure == "ZeroDivisionError()"


def test_an_interrupted_trial_is_run_again_by_the_same_command(searched: Searched, tmp_path: Path) -> None:
    plan = SearchPlan(tmp_path, 1, space=searched.space)
    with pytest.raises(KeyboardInterrupt):
        search(searched.settings, plan, Console(quiet=True), failing(KeyboardInterrupt()))
    result = search(searched.settings, plan, Console(quiet=True))
    assert [trial.state for trial in result.trials] == ["lost", "complete"]
    assert result.start is not None and result.start.score == searched.result.trials[0].score


class CountedRows(EncodedDataset):
    """Rows that count how often one is read."""

    reads = 0

    def __getitem__(self, index: int) -> EncodedExample:
        self.reads += 1
        return super().__getitem__(index)


@pytest.mark.filterwarnings("ignore:mtime may not be reliable")
def test_an_interrupted_trial_goes_on_from_its_checkpoint_to_the_same_scores(
    searched: Searched, tmp_path: Path
) -> None:
    often = searched.settings.model_copy(update={"checkpoint_every_s": 1e-6, "early_stopping_patience": 9})
    material = prepare_material(often, tmp_path / "tokenizer", Console(quiet=True))
    rows = CountedRows(material.encoded.train.rows)
    material = replace(material, encoded=replace(material.encoded, train=rows))

    def interrupted(epoch: int, score: float) -> bool:
        if epoch == 3:
            raise KeyboardInterrupt
        return True

    whole = run_trial(material, {}, tmp_path / "whole", lambda epoch, score: True)
    assert rows.reads == 4 * len(rows)
    with pytest.raises(KeyboardInterrupt):
        run_trial(material, {}, tmp_path / "cut", interrupted)
    rows.reads = 0
    assert run_trial(material, {}, tmp_path / "cut", lambda epoch, score: True) == whole
    assert rows.reads < 2 * len(rows)
    assert not (tmp_path / "cut").exists()
