"""A file is written when it answers like its variant, and not before."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from tokenizers import Tokenizer
from typer.testing import CliRunner

from export.__main__ import app
from export.bundle import Bundle
from export.failures import ExportFailure, ParityNotProven
from export.registry import Registry
from export.text_graph.characters import Characters
from export.text_graph.proof import text_feed
from export.text_graph.results import expected
from export.text_graph.texts import proving_texts
from export.text_graph.writing import write_text_graph
from tests.fakes.tiny_bundle import (
    publish_tiny,
    publish_tiny_embedding,
    publish_tiny_multi_label,
    publish_tiny_pair_scoring,
    publish_tiny_regression,
    publish_tiny_tagging,
)
from tests.fakes.tiny_words import LABELS

TEXTS = ["The bank and its profit", "球队 again, the match", "Chip! 芯片 software 手机", "nothing known", ""]


_TABLES: dict[str, Characters] = {}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few texts are drawn, and all of Unicode is asked for once: every bundle here has the same tokenizer."""

    def once(tokenizer: Tokenizer, symbols: dict[str, int], added: dict[str, int]) -> Characters:
        if not _TABLES:
            _TABLES["tiny"] = asked(tokenizer, symbols, added)
        return _TABLES["tiny"]

    asked = Characters.of
    monkeypatch.setattr("export.text_graph.tokens.Characters.of", once)
    monkeypatch.setattr(
        "export.text_graph.writing.proving_texts",
        lambda words, added, length: proving_texts(words, added, length, 40),
    )


def session_of(bundle: Bundle, path: Path, **more: str) -> onnxruntime.InferenceSession:
    write_text_graph(bundle, path / "model.onnx", **more)  # type: ignore[arg-type]
    return onnxruntime.InferenceSession(path / "model.onnx", providers=["CPUExecutionProvider"])


def answers(session: onnxruntime.InferenceSession, *texts: str | tuple[str, str]) -> dict[str, np.ndarray]:
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, text_feed(texts)), strict=True))


def test_a_classifier_gives_probabilities_and_the_best_label(tmp_path: Path) -> None:
    session = session_of(publish_tiny(tmp_path / "models"), tmp_path)
    assert [(each.name, each.type, each.shape) for each in session.get_inputs()] == [
        ("text", "tensor(string)", ["batch"])
    ]
    assert [(each.name, each.type, each.shape) for each in session.get_outputs()] == [
        ("probabilities", "tensor(float)", ["batch", 3]),
        ("label", "tensor(int64)", ["batch"]),
    ]
    got = answers(session, *TEXTS)
    assert [LABELS[position] for position in got["label"]] == [
        "business",
        "sports",
        "technology",
        "technology",
        "technology",
    ]
    assert np.allclose(got["probabilities"].sum(axis=1), 1)
    alone = answers(session, TEXTS[1])
    assert np.allclose(alone["probabilities"][0], got["probabilities"][1], atol=1e-6)


def test_the_temperature_is_inside(tmp_path: Path) -> None:
    bundle = publish_tiny(tmp_path / "models")
    assert bundle.manifest.calibration is not None
    warm = bundle.manifest.calibration.model_copy(update={"temperature": 4.0})
    warmer = Bundle(bundle.path, bundle.manifest.model_copy(update={"calibration": warm}))
    plain = answers(session_of(bundle, tmp_path), *TEXTS)["probabilities"]
    got = answers(session_of(warmer, tmp_path), *TEXTS)["probabilities"]
    quarter = plain.astype(np.float64) ** 0.25
    assert np.allclose(got, quarter / quarter.sum(axis=1, keepdims=True), atol=1e-5)
    assert np.abs(got - plain).max() > 0.1


def test_a_classifier_tells_texts_out_of_scope(tmp_path: Path) -> None:
    session = session_of(publish_tiny(tmp_path / "models", scope_threshold=-0.2), tmp_path)
    got = answers(session, *TEXTS)
    assert got["out_of_scope"].tolist() == [False, False, False, True, True]
    assert ((got["out_of_scope_score"] > -0.2) == got["out_of_scope"]).all()
    assert session.get_modelmeta().custom_metadata_map["out_of_scope_threshold"] == "-0.2"


def test_labels_that_exclude_nothing_apply_from_their_thresholds(tmp_path: Path) -> None:
    bundle = publish_tiny_multi_label(tmp_path / "models", thresholds=(0.9, 0.5, 0.9))
    session = session_of(bundle, tmp_path)
    got = answers(session, "bank market 球", "球队 team", "芯片")
    assert (got["applies"] == (got["probabilities"] >= np.array([0.9, 0.5, 0.9], np.float32))).all()
    assert got["applies"][0].tolist() == [True, True, False]
    assert json.loads(session.get_modelmeta().custom_metadata_map["thresholds"]) == [0.9, 0.5, 0.9]


def test_numbers_are_in_their_units(tmp_path: Path) -> None:
    session = session_of(publish_tiny_regression(tmp_path / "models"), tmp_path)
    # mean 3, deviation 2; of "[CLS] bank 银 [SEP]" half of the tokens are words of the first label
    assert answers(session, "bank 银", "")["value"] == pytest.approx([4.0, 3.0])


def test_vectors_have_length_one_and_zeros_stay_zeros(tmp_path: Path) -> None:
    session = session_of(publish_tiny_embedding(tmp_path / "models"), tmp_path)
    vectors = answers(session, "the bank", "球队 match", "unknown words", "")["embedding"]
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 0, 0], abs=1e-6)


def test_pairs_give_relevance_and_long_ones_are_cut(tmp_path: Path) -> None:
    session = session_of(publish_tiny_pair_scoring(tmp_path / "models"), tmp_path)
    assert [each.name for each in session.get_inputs()] == ["text", "text_pair"]
    got = answers(
        session, ("bank 球队", "the bank"), ("球队", "队 team 球"), ("chip", "coach"), ("a " * 90 + "bank", "bank")
    )
    scores = np.array([2 * 1 - 3, 2 * 2 - 3, -3, -3])
    assert got["relevance"] == pytest.approx(1 / (1 + np.exp(-scores)), abs=1e-5)


def test_the_file_says_what_it_is(tmp_path: Path) -> None:
    bundle = publish_tiny(tmp_path / "models", "新闻".encode().hex())
    about = session_of(bundle, tmp_path).get_modelmeta().custom_metadata_map
    assert json.loads(about["labels"]) == LABELS
    assert (about["task"], about["version"], about["variant"]) == ("single_label_classification", "1", "fp32")
    assert about["tokenizer_sha256"] == bundle.manifest.tokenizer.sha256
    assert about["variant_sha256"] == bundle.manifest.variants[0].file.sha256


def test_token_ids_in_results_out(tmp_path: Path) -> None:
    bundle = publish_tiny_embedding(tmp_path / "models")
    session = session_of(bundle, tmp_path, inputs="tokens")
    assert [each.name for each in session.get_inputs()] == ["input_ids", "attention_mask", "token_type_ids"]
    assert session.get_modelmeta().custom_metadata_map["pad_token_id"] == "0"
    ids = np.array([[2, 5, 3, 0]], np.int64)
    fed = {"input_ids": ids, "attention_mask": (ids > 0).astype(np.int64), "token_type_ids": 0 * ids}
    (vectors,) = session.run(["embedding"], fed)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1])


def test_a_model_that_labels_words_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportFailure, match=r"tagger labels words.*Tag of a server"):
        write_text_graph(publish_tiny_tagging(tmp_path / "models"), tmp_path / "model.onnx")


def test_an_unknown_variant_and_a_missing_folder_are_named(tmp_path: Path) -> None:
    bundle = publish_tiny(tmp_path / "models")
    with pytest.raises(ExportFailure, match="tiny has no variant 'int8'; it has: fp32"):
        write_text_graph(bundle, tmp_path / "model.onnx", "int8")
    with pytest.raises(ExportFailure, match="nowhere is no folder"):
        write_text_graph(bundle, tmp_path / "nowhere" / "model.onnx")


def test_what_reads_a_text_otherwise_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = publish_tiny(tmp_path / "models")
    monkeypatch.setattr("export.text_graph.tokens.GOES_ON", 0)
    with pytest.raises(ParityNotProven, match="other token ids inside the graph"):
        write_text_graph(bundle, tmp_path / "model.onnx", texts=["bankbank"])
    assert not (tmp_path / "model.onnx").exists()


def test_what_answers_otherwise_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = publish_tiny(tmp_path / "models")
    file = tmp_path / "model.onnx"
    file.write_bytes(b"former")

    def wrong(*given: object) -> dict[str, np.ndarray]:
        right = expected(*given)  # type: ignore[arg-type]
        return {name: values[:, ::-1] for name, values in right.items()}

    monkeypatch.setattr("export.text_graph.proof.expected", wrong)
    with pytest.raises(ParityNotProven, match=r"results differ from those of fp32 by 0\.\d+, more than 0\.0001"):
        write_text_graph(bundle, file)
    assert file.read_bytes() == b"former"
    assert [each.name for each in tmp_path.iterdir() if each.is_file()] == ["model.onnx"]


def test_a_graph_of_an_older_opset_is_refused(tmp_path: Path) -> None:
    bundle = publish_tiny(tmp_path / "models")
    path = bundle.file(bundle.manifest.variants[0].file)
    model = onnx.load(path)
    model.opset_import[0].version = 13
    onnx.save(model, path)
    with pytest.raises(ExportFailure, match="opset 13, and 16 is needed"):
        write_text_graph(bundle, tmp_path / "model.onnx")


def test_the_command_tells_what_was_proven(tmp_path: Path) -> None:
    publish_tiny(tmp_path / "models")
    texts = tmp_path / "texts.csv"
    texts.write_text("文本\n" + "".join(f"球队赢了 {number}\n" for number in range(20)), encoding="utf-8")
    command = ["text-graph", "tiny", "--registry", str(tmp_path / "models"), "--out", str(tmp_path / "m.onnx")]
    shown = CliRunner().invoke(app, [*command, "--texts", str(texts)])
    assert shown.exit_code == 0, shown.output
    assert "read alike 94 of 94 texts" in shown.output
    assert "text to probabilities, label" in shown.output
    assert (tmp_path / "m.onnx").is_file()


def test_the_command_says_what_cannot_be_done(tmp_path: Path) -> None:
    publish_tiny_tagging(tmp_path / "models")
    shown = CliRunner().invoke(
        app, ["text-graph", "tagger", "--registry", str(tmp_path / "models"), "--out", str(tmp_path / "m.onnx")]
    )
    assert shown.exit_code == 2
    assert "labels words" in shown.output
    assert Registry(str(tmp_path / "models")).names() == ["tagger"]
