"""A tiny BERT learns to guess words of texts without labels; `fit` starts from it, and what it makes is exported and proven."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console
from transformers import AutoModelForMaskedLM

from export.bundling import export_run
from export.registry import Registry
from export.settings import ExportSettings
from tests.fakes.tiny_corpus import write_corpus
from tests.fakes.tiny_encoder import toy_rows, write_rows, write_tiny_decoder, write_tiny_encoder
from training.encoders import find_encoder
from training.failures import InvalidSettings, UnreadableData
from training.fine_tuning import fine_tune
from training.model_making import load_tokenizer
from training.pretraining.pretraining import pretrain
from training.pretraining.record import EncoderDirectory, PretrainingRecord
from training.pretraining.reuse import step_fingerprint as pretraining_fingerprint
from training.pretraining.settings import load_pretraining_settings
from training.progress import Steps
from training.reuse import step_fingerprint
from training.run import RunDirectory
from training.settings_reading import load_settings

QUIET = Console(quiet=True)
TINY = {"layers": 2, "hidden_size": 32, "heads": 2, "intermediate_size": 64, "vocabulary": 400, "max_length": 48}


def run_pretraining(folder: Path, data: Path, **flags: object) -> tuple[EncoderDirectory, PretrainingRecord]:
    settings = load_pretraining_settings({"paths": [str(data)], "name": "tiny", "batch_tokens": 512, **flags})
    run = EncoderDirectory(folder / "tiny")
    return run, pretrain(settings, run, pretraining_fingerprint(settings), QUIET)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> tuple[EncoderDirectory, PretrainingRecord]:
    folder = tmp_path_factory.mktemp("pretraining")
    write_tiny_encoder(folder / "unused")  # torch with one thread
    data = write_corpus(folder / "texts.txt", 400, "gb18030")
    return run_pretraining(folder, data, epochs=12, learning_rate=5e-3, held_out_fraction=0.1, **TINY)


def test_from_scratch_the_held_out_loss_falls_far(encoder: tuple[EncoderDirectory, PretrainingRecord]) -> None:
    _, record = encoder
    assert record.before.accuracy < 0.1
    assert record.after.loss < 0.6 * record.before.loss
    assert record.after.accuracy > 0.2
    losses = list(record.curve.values())
    assert len(losses) == 9
    assert losses[-1] < losses[0]


def test_the_record_says_what_was_done(encoder: tuple[EncoderDirectory, PretrainingRecord]) -> None:
    run, record = encoder
    assert run.record() == record
    assert (record.texts, record.held_out_texts, record.texts_read) == (360, 40, 400)
    assert list(record.encodings.values()) == ["gb18030"]
    assert record.epochs == pytest.approx(12, rel=0.02)
    assert record.config["layers"] == 2
    assert record.config["lowercase"] is True
    assert record.config["heads"] == 2
    assert record.pooling == "mean"
    assert record.unknown_share < 0.01
    assert list((run.trainer / "tensorboard").iterdir())
    assert not list(run.trainer.glob("checkpoint-*"))


def test_fit_starts_from_it_and_the_bundle_is_proven(
    encoder: tuple[EncoderDirectory, PretrainingRecord], tmp_path: Path
) -> None:
    run, _ = encoder
    data = write_rows(tmp_path / "rows.csv", toy_rows(300))
    flags = {"name": "toy", "model": str(run.root), "epochs": 6, "learning_rate": 3e-3, "batch_size": 16}
    settings = load_settings(None, flags, {"path": str(data)})
    directory = RunDirectory(tmp_path / "runs" / "toy")
    record = fine_tune(settings, directory, step_fingerprint(settings), QUIET)
    assert record.pooling == "mean"
    assert record.max_length == 48
    assert record.metrics["test"]["accuracy"] > 0.8
    bundle, _ = export_run(
        directory,
        record,
        Registry(str(tmp_path / "models")),
        ExportSettings(calibration_rows=64),
        "0" * 64,
        Steps(QUIET),
    )
    assert "fp32" in {variant.name for variant in bundle.manifest.variants}


def test_pretraining_goes_on_from_a_checkpoint_with_its_head(
    encoder: tuple[EncoderDirectory, PretrainingRecord], tmp_path: Path
) -> None:
    run, first = encoder
    data = write_corpus(tmp_path / "texts.txt", 400)
    _, record = run_pretraining(tmp_path, data, model=str(run.root), steps=20, max_length=48, held_out_fraction=0.1)
    assert record.before.loss == pytest.approx(first.after.loss, rel=0.05)
    assert record.pooling == "mean"
    assert record.updates == 20


def test_an_encoder_without_a_head_learns_the_domain_by_the_clock(tmp_path: Path) -> None:
    source = write_tiny_encoder(tmp_path / "encoder")
    data = write_corpus(tmp_path / "texts.txt", 200)
    run, record = run_pretraining(
        tmp_path,
        data,
        model=str(source),
        minutes=0.1,
        learning_rate=5e-3,
        max_length=64,
        gradient_accumulation=2,
        held_out_fraction=0.1,
    )
    assert record.after.loss < record.before.loss
    assert record.pooling is None  # the checkpoint says nothing
    assert record.config["minutes"] == 0.1
    assert "layers" not in record.config, "the checkpoint has its own"
    assert load_tokenizer(str(run.root)).get_vocab() == load_tokenizer(str(source)).get_vocab()
    _, report = AutoModelForMaskedLM.from_pretrained(run.root, output_loading_info=True)
    assert not report["missing_keys"]
    assert find_encoder(str(run.root)).pooling is None


def test_what_others_made_is_never_removed(tmp_path: Path) -> None:
    data = write_corpus(tmp_path / "texts.txt", 40)
    theirs = write_tiny_encoder(tmp_path / "tiny")
    before = sorted(path.name for path in theirs.iterdir())
    with pytest.raises(InvalidSettings, match="would be overwritten"):
        run_pretraining(tmp_path, data, model=str(theirs), steps=1)
    with pytest.raises(InvalidSettings, match="was not made by this command"):
        run_pretraining(tmp_path, data, steps=1, **TINY)
    assert sorted(path.name for path in theirs.iterdir()) == before


def test_unreadable_texts_leave_a_finished_encoder_as_it_was(
    encoder: tuple[EncoderDirectory, PretrainingRecord], tmp_path: Path
) -> None:
    run, record = encoder
    bad = tmp_path / "bad.txt"
    bad.write_bytes(b"one\ntw\0o\n")
    settings = load_pretraining_settings({"paths": [str(bad)], "name": "tiny", **TINY})
    with pytest.raises(UnreadableData):
        pretrain(settings, run, "another", QUIET)
    assert run.record() == record
    assert (run.root / "model.safetensors").is_file()


@pytest.mark.parametrize("unusable", ["a decoder", "no weights"])
def test_an_unusable_checkpoint_leaves_a_finished_encoder_as_it_was(
    encoder: tuple[EncoderDirectory, PretrainingRecord], tmp_path: Path, unusable: str
) -> None:
    run, record = encoder
    source = (write_tiny_decoder if unusable == "a decoder" else write_tiny_encoder)(tmp_path / "source")
    if unusable == "no weights":
        (source / "model.safetensors").unlink()
    data = write_corpus(tmp_path / "texts.txt", 40)
    flags = {"paths": [str(data)], "name": "tiny", "model": str(source), "steps": 1, "max_length": 48}
    with pytest.raises(InvalidSettings, match="masked words"):
        pretrain(load_pretraining_settings(flags), run, "another", QUIET)
    assert run.record() == record
    assert (run.root / "model.safetensors").is_file()


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"pooling": "most"}'])
def test_a_damaged_record_is_named(tmp_path: Path, content: str) -> None:
    folder = write_tiny_encoder(tmp_path)
    (folder / "pretraining.json").write_text(content, encoding="utf-8")
    with pytest.raises(InvalidSettings, match="is damaged: remove it"):
        find_encoder(str(folder))


def test_a_decoder_is_refused_in_words(tmp_path: Path) -> None:
    decoder = write_tiny_decoder(tmp_path / "decoder")
    with pytest.raises(InvalidSettings, match="masked words"):
        run_pretraining(tmp_path, write_corpus(tmp_path / "texts.txt", 40), model=str(decoder), steps=1, max_length=48)
    assert json.loads((decoder / "config.json").read_text())["model_type"] == "gpt2"
