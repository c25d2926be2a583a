"""Tiny runs leave a report that parses, escapes what the data says, and can be made again."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
import yaml
from rich.console import Console
from typer.testing import CliRunner

from export.__main__ import app as export_app
from tests.fakes.tiny_encoder import TOPICS, toy_rows, write_tiny_decoder, write_tiny_encoder
from training.__main__ import app
from training.fine_tuning import fine_tune
from training.report.contents import EvaluationReport, Mistake, Piece
from training.report.making import brief_report, chosen_settings, make_report, report_of, stored_report
from training.report.page import render
from training.report.settings import ReportSettings
from training.report.wording import percent
from training.reuse import step_fingerprint
from training.run import RunDirectory, RunRecord
from training.settings_reading import load_settings

QUIET = Console(quiet=True)
EVIL = "<script>alert('标签')</script>"
NAMES = {"sports": "sports|体育", "economy": "经济", "technology": EVIL}
SECTIONS = {
    "scores",
    "labels",
    "slices",
    "confusion",
    "pictures",
    "mistakes",
    "robustness",
    "explanations",
    "data",
    "reproduce",
}
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Raises when tags are not balanced; collects ids and tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: set[str] = set()
        self.tags: set[str] = set()
        self.text = ""
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.ids |= {value for name, value in attrs if name == "id" and value}
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        self.text += data


def write_single(path: Path) -> Path:
    """One label in ten is wrong, so that there are mistakes; some texts are Chinese, some hold markup."""
    rows = []
    for number, (text, topic) in enumerate(toy_rows(300)):
        label = NAMES["sports" if number % 10 == 0 else topic]
        chinese = TOPICS[topic][-1] if number % 3 == 0 else ""
        markup = "<script>alert(1)</script> " if number % 5 == 0 else ""
        rows.append({"text": f"{markup}{chinese} {text}", "label": label, "shop": "north" if number % 2 else "south"})
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    return path


def write_several(path: Path) -> Path:
    """Texts with the words of two topics have both labels."""
    rows = toy_rows(300)
    pairs = [
        (f"{one} {other}", sorted({first, second}))
        for (one, first), (other, second) in zip(rows[::2], rows[3::2] + rows[:2], strict=False)
    ]
    lines = [
        json.dumps({"text": text, "label": [NAMES[each].replace("|", "/") for each in labels]})
        for text, labels in pairs
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def trained(folder: Path, data: Path, **flags: object) -> tuple[RunDirectory, RunRecord]:
    model = flags.pop("model", None) or str(write_tiny_encoder(folder / "encoder"))
    values = {"name": "run", "model": model, "epochs": 8, "learning_rate": 3e-3, "batch_size": 16, **flags}
    settings = load_settings(
        None, values, {"path": str(data)}, {"report": {"robustness_rows": 20, "explained_rows": 4}}
    )
    run = RunDirectory(folder / "runs" / "run")
    return run, fine_tune(settings, run, step_fingerprint(settings), QUIET)


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunDirectory, RunRecord]:
    folder = tmp_path_factory.mktemp("single")
    run, record = trained(folder, write_single(folder / "rows.jsonl"))
    report_of(run, record, chosen_settings(run, record, {}))
    return run, record


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunDirectory, RunRecord]:
    folder = tmp_path_factory.mktemp("several")
    run, record = trained(folder, write_several(folder / "rows.jsonl"), task="multi_label_classification")
    report_of(run, record, chosen_settings(run, record, {}))
    return run, record


@pytest.fixture
def copied(single: tuple[RunDirectory, RunRecord], tmp_path: Path) -> tuple[RunDirectory, RunRecord]:
    """The first of them, to be changed."""
    run, record = single
    return RunDirectory(Path(shutil.copytree(run.root, tmp_path / "runs" / "run"))), record


def report_in(run: RunDirectory, record: RunRecord) -> EvaluationReport:
    found = stored_report(run, record)
    assert found is not None
    return found


def page_of(run: RunDirectory) -> Page:
    return Page((run.evaluation / "report.html").read_text(encoding="utf-8"))


def test_the_page_parses_has_every_section_and_runs_nothing(single: tuple[RunDirectory, RunRecord]) -> None:
    page = page_of(single[0])
    assert page.ids == SECTIONS
    assert not {"script", "iframe", "link"} & page.tags
    assert EVIL in page.text and "经济" in page.text
    assert "http" not in re.sub(r"https?://arxiv", "", page.text), "a page that stands alone loads nothing"


def test_a_text_that_is_markup_is_shown_and_not_run(single: tuple[RunDirectory, RunRecord]) -> None:
    run, record = single
    text = "<script>偷()</script>"
    evil = Mistake(line=1, text=text, text_pair=text, truth=["a"], predicted=["b"], probability=0.9)
    pieces = [Piece(text=text, weight=1.0), Piece(text="<b>", weight=None)]
    explained = report_in(run, record).explanations[0].model_copy(update={"pieces": pieces})
    report = report_in(run, record).model_copy(update={"mistakes": [evil], "explanations": [explained]})
    page = Page(render(run, record, report))
    assert "script" not in page.tags
    assert page.text.count(text) == 4, "two in the mistake, one in the explained text, one among its strongest words"


def test_the_report_says_what_the_run_measured(single: tuple[RunDirectory, RunRecord]) -> None:
    run, record = single
    report = report_in(run, record)
    accuracy = report.headlines[0]
    assert accuracy.metric == "accuracy"
    assert accuracy.test is not None and accuracy.validation is not None
    assert accuracy.test.value == record.metrics["test"]["accuracy"]
    assert accuracy.test.interval == record.intervals["accuracy"]
    assert accuracy.validation.interval is not None
    assert report.matrix is not None
    total = sum(map(sum, report.matrix))
    assert total == report.splits["test"] == sum(each.test_rows for each in report.classes)
    assert report.wrong == total - sum(report.matrix[i][i] for i in range(3)) > 0
    assert {"column “shop”", "script"} <= {group.name for group in report.slices}
    assert all(sum(each.rows for each in group.slices) == total for group in report.slices)
    assert not any("after training" in sentence for sentence in report.attention)


def test_perturbed_and_explained_rows_add_up(single: tuple[RunDirectory, RunRecord]) -> None:
    report = report_in(*single)
    assert report.robustness is not None and report.robustness.rows == 20
    by_name = {each.name: each for each in report.robustness.perturbations}
    # the tokenizer lowers case and drops white space: what it reads is the same
    assert by_name["upper case"].rows == 20 and by_name["upper case"].flips == 0
    assert by_name["white space"].flips == 0
    assert len(report.explanations) == 4
    assert {each.right for each in report.explanations} == {True, False}
    texts = [row.text for row in single[0].examples("test")]  # type: ignore[arg-type]
    for each in report.explanations:
        assert "".join(piece.text for piece in each.pieces) == texts[each.line - 1]
        assert each.completeness_error < 0.05 * max(1.0, abs(each.difference))


def test_the_same_run_gives_the_same_report(single: tuple[RunDirectory, RunRecord]) -> None:
    run, record = single
    assert make_report(run, record, chosen_settings(run, record, {})) == report_in(run, record)


def test_slices_stand_beside_what_was_measured_with_them(single: tuple[RunDirectory, RunRecord]) -> None:
    run, record = single
    scores = {**record.metrics["test"], "accuracy": 0.01}
    changed = record.model_copy(update={"metrics": {**record.metrics, "test": scores}})
    report = make_report(run, changed, ReportSettings(robustness_rows=0, explained_rows=0))
    assert report.slice_overall == record.metrics["test"]["accuracy"]
    assert f"All rows together: {percent(report.slice_overall)}" in Page(render(run, changed, report)).text
    assert "and was 1.0 % after training" in report.attention[0]
    assert "Metrics are those after training" in report.attention[0]


def test_the_settings_on_the_page_train_the_same(single: tuple[RunDirectory, RunRecord], tmp_path: Path) -> None:
    run, record = single
    file = tmp_path / "settings.yaml"
    file.write_text(report_in(run, record).reproduction.settings, encoding="utf-8")
    assert load_settings(file, {}, {}).model_dump() == record.config


def test_the_card_has_a_metadata_head_and_plain_text(single: tuple[RunDirectory, RunRecord]) -> None:
    card = (single[0].evaluation / "model_card.md").read_text(encoding="utf-8")
    _, head, body = card.split("---\n", 2)
    metadata = yaml.safe_load(head)
    assert metadata["license"] == "unknown"
    assert metadata["pipeline_tag"] == "text-classification"
    assert metadata["model-index"][0]["results"][0]["metrics"][0]["type"] == "accuracy"
    assert "base_model" not in metadata, "a folder is no id of the hub"
    assert "`经济`" in body and r"sports\|体育" in body
    assert EVIL not in body.replace(f"`{EVIL}`", "")
    for section in ("Intended use", "Data", "Metrics", "Limits", "Origin"):
        assert f"\n## {section}\n" in body


def test_several_labels_a_text(several: tuple[RunDirectory, RunRecord]) -> None:
    run, record = several
    page = page_of(run)
    assert page.ids >= SECTIONS - {"confusion", "slices"}
    report = report_in(run, record)
    assert report.matrix is None
    assert [each.metric for each in report.headlines][:2] == ["micro_f1", "macro_f1"]
    assert all(each.threshold is not None for each in report.classes)
    assert not any("after training" in sentence for sentence in report.attention)
    assert "any number of them, or none" in (run.evaluation / "model_card.md").read_text(encoding="utf-8")


def test_a_decoder_is_explained_too(tmp_path: Path) -> None:
    decoder = str(write_tiny_decoder(tmp_path / "decoder"))
    run, record = trained(tmp_path, write_single(tmp_path / "rows.jsonl"), model=decoder, epochs=1)
    report = make_report(run, record, ReportSettings(robustness_rows=0, explained_rows=2))
    assert report.robustness is None
    assert len(report.explanations) == 2
    assert all(any(piece.weight for piece in each.pieces) for each in report.explanations)
    assert "robustness" not in Page(render(run, record, report)).ids


def test_what_a_record_alone_says_makes_a_page_too(single: tuple[RunDirectory, RunRecord]) -> None:
    run, record = single
    page = Page(render(run, record, brief_report(run, record, ReportSettings())))
    assert page.ids == {"scores", "pictures", "data", "reproduce"}


def test_the_command_makes_it_anew_and_an_export_adds_its_variants(
    copied: tuple[RunDirectory, RunRecord], tmp_path: Path
) -> None:
    run, record = copied
    registry = tmp_path / "models"
    done = CliRunner().invoke(
        export_app, ["bundle", "--run", str(run.root), "--registry", str(registry), "--no-quantize"]
    )
    assert done.exit_code == 0, done.output
    variants = report_in(run, record).variants
    assert variants is not None and variants.version == 1
    assert [each.name for each in variants.rows] == ["fp32"]
    assert "variants" in page_of(run).ids
    readme = (registry / record.name / "1" / "README.md").read_text(encoding="utf-8")
    card = (run.evaluation / "model_card.md").read_text(encoding="utf-8")
    assert readme.startswith(card)
    assert "## Licences" in readme.removeprefix(card)
    done = CliRunner().invoke(
        app, ["report", "--run", str(run.root), "--robustness-rows", "0", "--license", "apache-2.0"]
    )
    assert done.exit_code == 0, done.output
    report = report_in(run, record)
    assert report.variants == variants, "what an export said of the same run stays"
    assert report.robustness is None and report.settings.explained_rows == 4
    assert "license: apache-2.0" in (run.evaluation / "model_card.md").read_text(encoding="utf-8")


def test_a_run_that_is_not_complete_and_a_wrong_setting_are_refused(
    single: tuple[RunDirectory, RunRecord], tmp_path: Path
) -> None:
    done = CliRunner().invoke(app, ["report", "--run", str(tmp_path)])
    assert done.exit_code == 2 and "is not a complete run" in done.output
    done = CliRunner().invoke(app, ["report", "--run", str(single[0].root), "--robustness-rows", "-1"])
    assert done.exit_code == 2 and "robustness_rows" in done.output


Trained = tuple[RunDirectory, RunRecord]


def fit_again(single: Trained, copied: Trained, *more: str) -> None:
    """The command that trained the copied run, once its report is lost."""
    run, folder = copied[0], single[0].root.parent.parent
    (run.evaluation / "report.json").unlink()
    where = ["--data", str(folder / "rows.jsonl"), "--model", str(folder / "encoder"), "--out", str(run.root.parent)]
    trained_as = ["--name", "run", "--epochs", "8", "--learning-rate", "3e-3", "--batch-size", "16"]
    done = CliRunner().invoke(app, ["fit", *where, *trained_as, *more])
    assert done.exit_code == 0, done.output
    assert "reused" in done.output


def test_fit_makes_a_missing_report_and_trains_nothing_for_other_settings_of_it(
    single: Trained, copied: Trained
) -> None:
    fit_again(single, copied, "--robustness-rows", "5", "--explained-rows", "0")
    report = report_in(*copied)
    assert report.robustness is not None and report.robustness.rows == 5
    assert report.explanations == []


def test_a_report_that_is_missing_is_made_with_the_threads_that_are_given(single: Trained, copied: Trained) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        fit_again(single, copied, "--robustness-rows", "0", "--explained-rows", "0", "--threads", "2")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
