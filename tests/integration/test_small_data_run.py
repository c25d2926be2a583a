"""A real tiny BERT learns from few rows with copies of them and a contrastive stage, resumes, and is exported."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file
from torch.nn.functional import normalize

from export.bundling import export_run
from export.registry import Registry
from export.settings import ExportSettings
from tests.fakes.cut_off import cut_off_after
from tests.fakes.tiny_encoder import toy_rows, write_tiny_encoder
from tests.integration.test_multi_label_run import write_rows as write_rows_of_several_labels
from training.dataset import Split
from training.failures import InvalidSettings, UnusableData
from training.fine_tuning import fine_tune
from training.heads import load_encoder, mean_pool
from training.model_making import load_tokenizer
from training.progress import Steps
from training.reuse import step_fingerprint
from training.run import RunDirectory, RunRecord
from training.settings_reading import load_settings

QUIET = Console(quiet=True)
FLAGS = {"epochs": 10, "learning_rate": 3e-3, "batch_size": 16}
Run = tuple[RunDirectory, RunRecord]


class Place:
    """A folder with an encoder, unequal data (40 rows of one class, 10 of the others) and runs."""

    def __init__(self, folder: Path) -> None:
        self.encoder = write_tiny_encoder(folder / "encoder")
        rows = toy_rows(240)
        train = [row for i, row in enumerate(rows[:120]) if row[1] == "sports" or i < 30]
        lines = [f'"{text}",{label},train' for text, label in train]
        lines += [f'"{text}",{label},{"validation" if i % 2 else "test"}' for i, (text, label) in enumerate(rows[120:])]
        self.data = folder / "rows.csv"
        self.data.write_text("text,label,split\n" + "\n".join(lines) + "\n", encoding="utf-8")
        self.runs = folder / "runs"

    def fit(self, name: str, augmentation: dict[str, Any] | None = None, console: Console = QUIET, **flags: Any) -> Run:
        data = str(flags.pop("data", self.data))
        groups = {"augmentation": augmentation or {}}
        settings = load_settings(
            None, {"name": name, "model": str(self.encoder), **FLAGS, **flags}, {"path": data}, groups
        )
        run = RunDirectory(self.runs / name)
        return run, fine_tune(settings, run, step_fingerprint(settings), console)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def varied(place: Place) -> Run:
    return place.fit("varied", {"kinds": "typo,swap,delete,synonym", "target": "balanced"})


@pytest.fixture(scope="module")
def few(place: Place) -> Run:
    return place.fit("few", contrastive_epochs=6, sampling="over", epochs=20, early_stopping_patience=20)


def test_copies_fill_the_small_classes_and_the_record_says_how_many(varied: Run) -> None:
    run, record = varied
    assert record.augmentation is not None
    copies = list(run.examples("augmented"))
    assert len(copies) == record.augmentation.copies == sum(record.augmentation.kinds.values()) > 40
    assert set(record.augmentation.labels) == {"economy", "technology"}
    train = list(run.examples(Split.TRAIN))
    counts = Counter(example.label for example in [*train, *copies])
    missing = sum(record.augmentation.left_out.values())
    assert sum(counts.values()) + missing == 3 * counts["sports"]
    judged = {example.text for split in (Split.VALIDATION, Split.TEST) for example in run.examples(split)}
    assert not judged & {example.text for example in copies}
    assert not {example.text for example in train} & {example.text for example in copies}
    assert record.metrics["test"]["accuracy"] > 0.6
    assert not list(run.trainer.glob("copies*"))


def test_data_without_copies_is_the_same_data(varied: Run, few: Run) -> None:
    assert varied[1].data_fingerprint == few[1].data_fingerprint
    assert few[1].augmentation is None
    assert list(varied[0].examples(Split.TRAIN)) == [
        example.__class__(**{**_fields(example), "source": str(varied[0].data)})
        for example in few[0].examples(Split.TRAIN)
    ]


def _fields(example: Any) -> dict[str, Any]:
    return {name: getattr(example, name) for name in example.__slots__}


@pytest.mark.parametrize("name", ["varied", "few"])
def test_the_run_is_exported_and_proven_like_any_other(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    run, record = request.getfixturevalue(name)
    bundle, _ = export_run(
        run, record, Registry(str(tmp_path)), ExportSettings(calibration_rows=64), "0" * 64, Steps(QUIET)
    )
    assert all(variant.parity.passed for variant in bundle.manifest.variants)
    assert bundle.manifest.metrics["fp32"]["accuracy"] == pytest.approx(record.metrics["test"]["accuracy"], abs=0.02)


def test_texts_of_one_label_come_closer_and_the_record_tells_of_the_stage(place: Place, few: Run) -> None:
    run, record = few
    assert record.config["contrastive_epochs"] == 6
    assert record.config["contrastive_learning_rate"] == 5e-5
    assert record.metrics["test"]["accuracy"] > 0.6
    assert not (run.trainer / "contrastive.safetensors").exists()
    assert not list(run.trainer.glob("**/checkpoint-*"))
    stage = {"contrastive_epochs": 20, "contrastive_learning_rate": 1e-3, "pooling": "mean"}
    alone, _ = place.fit("alone", method="frozen", epochs=1, **stage)
    assert gap(alone.checkpoint, alone) > gap(place.encoder, alone) + 0.1


def gap(folder: Path, run: RunDirectory) -> float:
    """Mean cosine of test texts of one label, less that of others."""
    rows = list(run.examples(Split.TEST))
    tokenizer, encoder = load_tokenizer(str(folder)), load_encoder(str(folder)).eval()
    batch = tokenizer([row.text for row in rows], padding=True, return_tensors="pt")
    with torch.inference_mode():
        hidden = encoder(**batch).last_hidden_state
    vectors = normalize(mean_pool(hidden, batch["attention_mask"]))
    cosines = (vectors @ vectors.T).numpy()
    labels = np.array([row.label for row in rows])
    alike = labels[:, None] == labels[None, :]
    return float(cosines[alike & ~np.eye(len(rows), dtype=bool)].mean() - cosines[~alike].mean())


HOW = {"kinds": "typo,swap", "copies": 1}


@pytest.fixture(scope="module")
def whole(place: Place) -> Run:
    return place.fit("whole", HOW, contrastive_epochs=3)


@pytest.mark.parametrize("cuts", [(5,), (40,), (5, 40)])
def test_a_run_that_is_cut_off_in_either_stage_ends_with_the_same_weights(
    place: Place, whole: Run, cuts: tuple[int, ...]
) -> None:
    name = "cut-" + "-".join(map(str, cuts))
    for cut in cuts:
        with cut_off_after(cut):
            place.fit(name, HOW, contrastive_epochs=3)
        trainer = place.runs / name / "trainer"
        assert (trainer / "copies.json").is_file()
        if (trainer / "contrastive.safetensors").is_file():
            # a kill between the two stages leaves one behind
            (trainer / "contrastive" / "checkpoint-3").mkdir()
    console = Console(file=io.StringIO(), width=200)
    run, record = place.fit(name, HOW, console, contrastive_epochs=3)
    assert not list(run.trainer.glob("**/checkpoint-*"))
    said = console.file.getvalue()  # type: ignore[attr-defined]  # it is a StringIO
    assert "resuming" in said
    assert "varying training rows" not in said
    expected, actual = (load_file(each.checkpoint / "model.safetensors") for each in (whole[0], run))
    assert expected.keys() == actual.keys()
    assert all(torch.equal(expected[key], actual[key]) for key in expected)
    assert record.metrics == whole[1].metrics


def test_several_labels_a_text_have_copies_too(place: Place, tmp_path: Path) -> None:
    data = write_rows_of_several_labels(tmp_path / "rows.csv", 150)
    run, record = place.fit("several", {"kinds": "delete,swap"}, task="multi_label_classification", data=data, epochs=1)
    assert record.augmentation is not None
    assert record.augmentation.copies > 80
    assert {len(copy.labels or ()) for copy in run.examples("augmented")} == {0, 1, 2}


def test_what_cannot_be_done_is_refused_before_training(place: Place, tmp_path: Path) -> None:
    unread = tmp_path / "unread.csv"
    unread.write_text("neither,nor\n1,2\n", encoding="utf-8")
    with pytest.raises(InvalidSettings, match="is a sentence encoder and has no head"):
        place.fit("x", {"kinds": "synonym", "synonym_model": "minilm"}, data=unread)
    with pytest.raises(InvalidSettings, match=r"synonym_model .*nowhere' could not be loaded"):
        place.fit("x", {"kinds": "synonym", "synonym_model": str(tmp_path / "nowhere")}, data=unread)
    models = (str(place.encoder), str(tmp_path / "back"))
    with pytest.raises(InvalidSettings, match=r"translation model .*back' could not be loaded"):
        place.fit("x", {"kinds": "back_translation", "translation_models": models}, data=unread)
    lines = [
        f'"{text}",{label}{i % 30},{split}'
        for split in ("train", "validation", "test")
        for i, (text, label) in enumerate(toy_rows(30, seed=ord(split[1])))
    ]
    single = tmp_path / "single.csv"
    single.write_text("text,label,split\n" + "\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(UnusableData, match="no label has two training rows"):
        place.fit("x", contrastive_epochs=1, data=single)
    assert not RunDirectory(place.runs / "x").checkpoint.exists()
