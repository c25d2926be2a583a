from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from tests.fakes.tiny_encoder import TOPICS, toy_rows, write_rows, write_tiny_encoder
from training.__main__ import app
from training.audit.by_fine_tuning import probabilities_by_fine_tuning
from training.audit.command import audit
from training.audit.findings import Findings
from training.audit.folds import make_folds
from training.audit.settings import AuditSettings, audit_settings
from training.failures import InvalidSettings, MissingPackage
from training.preparation import distinct_rows

QUIET = Console(quiet=True)
LABELS = list(TOPICS)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_encoder(tmp_path_factory.mktemp("audit") / "encoder")


def with_swapped_labels(rows: list[tuple[str, str]], every: int) -> tuple[list[tuple[str, str]], set[str]]:
    """The rows with the label of every so many replaced by the next one, and the texts of these."""
    swapped = {text for text, _ in rows[::every]}
    return [
        (text, LABELS[(LABELS.index(label) + 1) % len(LABELS)] if text in swapped else label) for text, label in rows
    ], swapped


def configured(data: Path, encoder: Path, **flags: object) -> AuditSettings:
    return audit_settings({"name": "toy", "model": str(encoder), **flags}, {"path": str(data)})


def sheet_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def planted(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Findings, set[str], Path]:
    """An audit of 300 rows of which every 20th has another topic's label; its findings, these texts, its folder."""
    folder = tmp_path_factory.mktemp("planted")
    rows, swapped = with_swapped_labels(toy_rows(300), 20)
    data = write_rows(folder / "rows.csv", rows)
    before = data.read_bytes()
    findings = audit(configured(data, encoder), folder / "out", QUIET, cleaned=folder / "cleaned.csv")
    assert data.read_bytes() == before
    return findings, swapped, folder


def test_rows_whose_labels_were_swapped_come_first(planted: tuple[Findings, set[str], Path]) -> None:
    findings, swapped, _ = planted
    worst = [verdict.example.text for verdict in findings.verdicts[: len(swapped)]]
    assert len(swapped & set(worst)) >= len(swapped) - 1


def test_most_swapped_rows_are_issues_and_their_true_label_is_suggested(
    planted: tuple[Findings, set[str], Path],
) -> None:
    findings, swapped, _ = planted
    truth = dict(toy_rows(300))
    issues = {verdict.example.text: verdict for verdict in findings.issues}
    assert len(swapped & set(issues)) >= 0.8 * len(swapped)
    assert len(issues) <= 1.3 * len(swapped)
    assert all(issues[text].suggested == truth[text] for text in swapped & set(issues))
    assert findings.noise_rate == pytest.approx(len(swapped) / 300, abs=0.02)


def test_every_row_is_judged_once_and_its_numbers_are_probabilities(planted: tuple[Findings, set[str], Path]) -> None:
    findings, _, _ = planted
    assert len({verdict.example.text for verdict in findings.verdicts}) == len(findings.verdicts) == 300
    for verdict in findings.verdicts:
        assert 0 <= verdict.quality <= 1
        assert 0 <= verdict.given_probability <= verdict.suggested_probability <= 1


def test_the_sheet_lists_the_issues_and_where_they_stand_worst_first(planted: tuple[Findings, set[str], Path]) -> None:
    findings, _, folder = planted
    rows = sheet_rows(folder / "out" / "audit.csv")
    assert [row["text"] for row in rows] == [verdict.example.text for verdict in findings.issues]
    assert [float(row["label_quality"]) for row in rows] == sorted(float(row["label_quality"]) for row in rows)
    lines = (folder / "rows.csv").read_text(encoding="utf-8").splitlines()
    assert all(row["text"] in lines[int(row["line"]) - 1] for row in rows)
    assert {row["issue"] for row in rows} == {"yes"}


def test_the_cleaned_file_lacks_the_issues_and_nothing_else(planted: tuple[Findings, set[str], Path]) -> None:
    findings, _, folder = planted
    with (folder / "cleaned.csv").open(encoding="utf-8", newline="") as file:
        kept = [(row["text"], row["label"]) for row in csv.DictReader(file)]
    issues = {verdict.example.text for verdict in findings.issues}
    assert dict(kept) == {
        verdict.example.text: verdict.example.label
        for verdict in findings.verdicts
        if verdict.example.text not in issues
    }


def test_the_page_counts_the_issues_of_each_class(planted: tuple[Findings, set[str], Path]) -> None:
    findings, _, folder = planted
    page = (folder / "out" / "audit.html").read_text(encoding="utf-8")
    assert f"<b>{len(findings.issues)}</b>" in page
    assert sum(each.issues for each in findings.classes) == len(findings.issues)
    assert {each.confused_with for each in findings.classes} <= {*LABELS, None}
    assert "http" not in page, "the page loads nothing"


def test_chinese_labels_are_found_although_the_encoder_knows_no_such_character(encoder: Path, tmp_path: Path) -> None:
    words = {"好评": ["喜欢", "满意", "推荐"], "差评": ["退货", "失望", "糟糕"]}
    random = np.random.default_rng(0)
    rows = []
    for number in range(300):
        label = list(words)[number % 2]
        noise = "".join(chr(0x4E00 + int(n)) for n in random.integers(0, 2_000, 8))
        rows.append(
            (noise[:4] + str(random.choice(words[label])) + noise[4:] + str(random.choice(words[label])), label)
        )
    wrong = {rows[n][0] for n in (3, 40, 77)}
    swap = {"好评": "差评", "差评": "好评"}
    data = write_rows(tmp_path / "行.csv", [(text, swap[label] if text in wrong else label) for text, label in rows])
    audit(configured(data, encoder), tmp_path, QUIET)
    assert wrong <= {row["text"] for row in sheet_rows(tmp_path / "audit.csv")[:4]}


def test_from_the_command_line_to_corrected_data(encoder: Path, tmp_path: Path) -> None:
    rows, swapped = with_swapped_labels(toy_rows(90), 30)
    data = write_rows(tmp_path / "rows.csv", rows)
    run = CliRunner()
    options = ["--model", str(encoder), "--folds", "3", "--all-rows", "--out", str(tmp_path / "audits")]
    done = run.invoke(app, ["audit", "--data", str(data), "--name", "toy", *options])
    assert done.exit_code == 0, done.output
    sheet = tmp_path / "audits" / "toy" / "audit.csv"
    reviewed = sheet_rows(sheet)
    assert len(reviewed) == 90
    truth = dict(toy_rows(90))
    for row in reviewed:
        row["corrected_label"] = truth[row["text"]] if row["text"] in swapped else ""
    with sheet.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(reviewed[0]))
        writer.writeheader()
        writer.writerows(reviewed)
    out = tmp_path / "corrected.csv"
    done = run.invoke(app, ["correct", "--data", str(data), "--corrections", str(sheet), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "3 labels corrected" in done.output
    with out.open(encoding="utf-8", newline="") as file:
        assert {row["text"]: row["label"] for row in csv.DictReader(file)} == truth


def test_without_cleanlab_the_message_says_what_to_install(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cleanlab", None)
    with pytest.raises(MissingPackage, match=r"cleanlab.*pip install .*\[audit\]"):
        audit(configured(tmp_path / "rows.csv", encoder), tmp_path, QUIET)


def test_the_input_is_never_written_to(encoder: Path, tmp_path: Path) -> None:
    data = write_rows(tmp_path / "rows.csv", toy_rows(30))
    with pytest.raises(InvalidSettings, match="this is the data itself, which is never changed"):
        audit(configured(data, encoder), tmp_path, QUIET, cleaned=tmp_path / "." / "rows.csv")
    with pytest.raises(InvalidSettings, match=r"ends in \.csv"):
        audit(configured(data, encoder), tmp_path, QUIET, cleaned=tmp_path / "rows.xlsx")


def test_fine_tuned_models_judge_the_rows_that_they_did_not_see_and_are_reused(encoder: Path, tmp_path: Path) -> None:
    data = write_rows(tmp_path / "rows.csv", toy_rows(60))
    settings = configured(data, encoder, via="fine-tuning", folds=2, epochs=1)
    rows = distinct_rows(settings.data)
    folds = make_folds(rows.examples, rows.groups, settings)
    first = probabilities_by_fine_tuning(folds, settings, tmp_path / "folds", QUIET)
    assert first.shape == (60, 3)
    assert np.allclose(first.sum(axis=1), 1)
    trained = (tmp_path / "folds" / "fold-1.jsonl").read_text(encoding="utf-8")
    assert trained.count('"split": "test"') == int((folds.fold == 0).sum())
    weights = list((tmp_path / "folds").rglob("*.safetensors"))
    assert not weights, "a fold leaves its probabilities, not its weights"
    again = probabilities_by_fine_tuning(folds, settings, tmp_path / "folds", QUIET)
    assert np.array_equal(first, again)
