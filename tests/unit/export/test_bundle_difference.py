"""`python -m export diff`: what changed between two bundles, and whom it concerns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from export.__main__ import app
from export.answers import answers, other_answers
from export.bundle import Bundle
from export.bundle_difference import Difference, difference
from export.failures import ExportFailure
from export.registry import Registry
from tests.fakes.changed_bundle import changed
from tests.fakes.tiny_bundle import (
    publish_tiny,
    publish_tiny_embedding,
    publish_tiny_multi_label,
    publish_tiny_regression,
    publish_tiny_tagging,
)

TEXTS = ["the bank cut its rate", "球队赢了比赛", "robot software"]


def between(before: Bundle, after: Bundle) -> Difference:
    return difference(before.manifest, after.manifest, ("before", "after"))


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["diff", *words])
    return done.exit_code, done.output


@pytest.fixture
def first(tmp_path: Path) -> Bundle:
    return publish_tiny(tmp_path, "news")


@pytest.fixture
def registry(tmp_path: Path, first: Bundle) -> Registry:
    return Registry(str(tmp_path))


def test_a_copy_under_another_number_is_not_different(first: Bundle, registry: Registry, tmp_path: Path) -> None:
    copy = changed(first, registry, create_time="2027-01-01T00:00:00+00:00")
    assert between(first, copy).identical
    status, output = run("news@1", "news@2", "--registry", str(tmp_path))
    assert status == 0
    assert "nothing is different" in output


def test_labels_that_came_went_and_moved_are_told_apart(first: Bundle, registry: Registry) -> None:
    other = changed(first, registry, labels=["财经", "technology", "sports"])
    found = between(first, other)
    assert (found.labels_added, found.labels_removed, found.labels_reordered) == (["财经"], ["business"], True)
    assert not between(first, changed(first, registry, labels=["business", "sports", "科技"])).labels_reordered


def test_settings_metrics_variants_and_libraries_stand_side_by_side(first: Bundle, registry: Registry) -> None:
    variant = first.manifest.variants[0].model_dump()
    variant |= {"texts_per_second": 250.0, "parity": variant["parity"] | {"agreement": 0.99, "accuracy": 0.95}}
    other = changed(
        first,
        registry,
        max_length=64,
        encoder="bert-base-chinese",
        data_fingerprint="1" * 64,
        calibration={"temperature": 1.5, "error_before": 0.1, "error_after": 0.01},
        metrics={"checkpoint": {"accuracy": 0.9, "macro_f1": 0.8}},
        versions={"torch": "2.13.0"},
        variants=[variant],
    )
    found = between(first, other)
    settings = {each.name: (each.before, each.after) for each in found.settings}
    assert settings["max_length"] == (32, 64)
    assert settings["encoder"] == ("tiny", "bert-base-chinese")
    assert settings["calibration.temperature"] == (1.0, 1.5)
    assert settings["data_fingerprint"] == ("0" * 64, "1" * 64)
    metrics = {(each.of, each.name): each for each in found.metrics}
    assert metrics["checkpoint", "accuracy"].difference == pytest.approx(-0.1)
    assert metrics["checkpoint", "macro_f1"].before is None
    assert metrics["checkpoint", "macro_f1"].difference is None
    variants = {(each.of, each.name): each for each in found.variants}
    assert variants["fp32", "agreement"].difference == pytest.approx(-0.01)
    assert variants["fp32", "drop"].after == pytest.approx(5.0)
    assert variants["fp32", "texts_per_second"].before is None
    assert variants["fp32", "size_bytes"].difference == 0.0
    assert [each.name for each in found.versions] == ["torch"]


def test_any_other_weights_tokenizer_or_threshold_is_seen(tmp_path: Path, first: Bundle) -> None:
    slow = publish_tiny(tmp_path, "news", work=1, label=None)
    assert [each.name for each in between(first, slow).settings] == ["fp32.file"]
    one = publish_tiny_multi_label(tmp_path)
    two = publish_tiny_multi_label(tmp_path, thresholds=(0.9, 0.5, 0.9))
    assert [(each.name, each.after) for each in between(one, two).settings] == [("threshold of sports", 0.5)]


def test_a_field_that_only_one_side_has_is_shown_whatever_it_is(first: Bundle, registry: Registry) -> None:
    licences = {"weights": "Apache-2.0", "data": "CC-BY-4.0"}
    found = between(first, changed(first, registry, licences=licences)).settings
    assert {each.name: each.after for each in found if each.name.startswith("licences.")} == {
        "licences.weights": "Apache-2.0",
        "licences.data": "CC-BY-4.0",
    }


def test_both_are_asked_the_texts_of_a_file(first: Bundle, tmp_path: Path) -> None:
    publish_tiny(tmp_path, "news", rotated=1, label="canary")
    file = tmp_path / "texts.csv"
    file.write_text("text\n" + "\n".join(TEXTS) + "\n", encoding="utf-8")
    status, output = run("news", "news@canary", "--registry", str(tmp_path), "--texts", str(file), "--json")
    assert status == 0, output
    said = json.loads(output)
    assert said["answers"]["texts"] == 3
    assert said["answers"]["differing"][1] == {"text": "球队赢了比赛", "before": "sports", "after": "technology"}
    status, output = run("news", "news@canary", "--registry", str(tmp_path), "--texts", str(file))
    assert status == 0
    assert "answers: 3 of 3 texts differ (100.0 %)" in output
    assert "球队赢了比赛" in output


def test_folders_are_compared_as_well_as_versions(first: Bundle, registry: Registry, tmp_path: Path) -> None:
    other = changed(first, registry, labels=["财经", "体育", "科技"])
    status, output = run(str(first.path), str(other.path))
    assert status == 0
    assert "labels added: 财经, 体育, 科技" in output
    assert "labels removed: business, sports, technology" in output
    (other.path / "tokenizer.json").unlink()
    status, output = run(str(first.path), str(other.path))
    assert status == 2
    assert "missing" in output


@pytest.mark.parametrize(
    ("publish", "expected"),
    [
        (publish_tiny, ["business", "sports", "technology"]),
        (publish_tiny_multi_label, ["business", "sports", "technology"]),
        (publish_tiny_tagging, ["nothing", "nothing", "nothing"]),
        (publish_tiny_regression, [pytest.approx(3.571, abs=1e-3), pytest.approx(2.0, abs=1e-3), 3.0]),
    ],
)
def test_every_task_that_texts_alone_ask_is_answered(tmp_path: Path, publish: Any, expected: list[object]) -> None:
    assert answers(publish(tmp_path), TEXTS) == expected


def test_entities_are_answered_as_they_stand_in_the_text(tmp_path: Path) -> None:
    tagger = publish_tiny_tagging(tmp_path)
    asked = ["Ada Lovelace came to New York", "王明在北京"]
    assert answers(tagger, asked) == ["Ada Lovelace (PER), New York (LOC)", "王明 (PER), 北京 (LOC)"]


def test_a_text_out_of_scope_is_answered_as_such(tmp_path: Path) -> None:
    strict = publish_tiny(tmp_path, scope_threshold=-0.2)
    assert answers(strict, ["the bank cut its rate", "zzz zzz"]) == ["business", "out of scope"]


def test_numbers_that_are_nearly_equal_do_not_differ(tmp_path: Path) -> None:
    one = publish_tiny_regression(tmp_path)
    near = changed(one, Registry(str(tmp_path)), scale={"mean": 3.01, "deviation": 2.0})
    far = changed(one, Registry(str(tmp_path)), scale={"mean": 3.1, "deviation": 2.0})
    assert other_answers(one, near, TEXTS).differing == []
    assert other_answers(one, far, TEXTS).share == 1.0


def test_what_texts_alone_cannot_ask_is_refused_in_words(tmp_path: Path) -> None:
    vectors = publish_tiny_embedding(tmp_path)
    with pytest.raises(ExportFailure, match="single texts ask it nothing"):
        other_answers(vectors, vectors, TEXTS)
    with pytest.raises(ExportFailure, match="pairs of texts"):
        answers(publish_tiny(tmp_path, "pairs", pair=True), TEXTS)
    with pytest.raises(ExportFailure, match="cannot be compared"):
        other_answers(publish_tiny(tmp_path), publish_tiny_regression(tmp_path), TEXTS)
