from __future__ import annotations

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel

from tests.fakes.tiny_corpus import corpus
from training.dataset import Dataset, Example
from training.encoders import find_encoder
from training.model_making import load_tokenizer, make_tokenizer
from training.pretraining.wordpiece import SPECIAL, train_tokenizer
from training.settings_reading import load_settings

TEXTS = [
    "The bank raised its interest rates again, analysts said.",
    "Interest in the new phone is rising; analysts are raising their estimates.",
    "央行宣布上调利率，分析师表示意外。",
    "新手机发布，市场反应热烈。",
] * 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer(TEXTS, 400, lowercase=True, max_length=32).save_pretrained(folder)
    return folder


def test_words_of_letters_are_learnt_and_chinese_characters_stand_alone(folder: Path) -> None:
    tokenizer = load_tokenizer(str(folder))
    assert tokenizer.tokenize("Analysts 手机") == ["analysts", "手", "机"]
    assert tokenizer.unk_token_id not in tokenizer("interest rates 利率，市场", add_special_tokens=False)["input_ids"]


def test_special_tokens_come_first_and_surround_the_text(folder: Path) -> None:
    tokenizer = load_tokenizer(str(folder))
    assert tokenizer.convert_ids_to_tokens(range(5)) == list(SPECIAL)
    ids = tokenizer("bank")["input_ids"]
    assert (ids[0], ids[-1]) == (tokenizer.cls_token_id, tokenizer.sep_token_id)


def test_serving_reads_the_same_tokens_from_tokenizer_json(folder: Path) -> None:
    served = Tokenizer.from_file(str(folder / "tokenizer.json"))
    for text in ("Interest rates", "央行 raised 利率"):
        assert served.encode(text).ids == load_tokenizer(str(folder))(text)["input_ids"]
    pair = served.encode("bank", "手机")
    assert pair.type_ids == load_tokenizer(str(folder))("bank", "手机")["token_type_ids"]
    assert 1 in pair.type_ids


def test_case_is_kept_when_asked(tmp_path: Path) -> None:
    train_tokenizer(TEXTS, 400, lowercase=False, max_length=32).save_pretrained(tmp_path)
    assert load_tokenizer(str(tmp_path)).tokenize("Interest interest") == ["Interest", "interest"]


@pytest.mark.parametrize(
    ("first", "lowercase"),
    [(0x4E00, True), (0xAC00, False)],  # a Chinese character is a word, a Korean one stands inside words, too
)
def test_the_vocabulary_is_bounded_also_where_characters_are_many(first: int, lowercase: bool) -> None:
    many = ["".join(chr(first + 7 * number + at) for at in range(7)) + " analysts said" for number in range(300)]
    tokenizer = train_tokenizer(many, 500, lowercase=lowercase, max_length=32)
    assert len(tokenizer) <= 500
    assert tokenizer.tokenize("analysts said") == ["analysts", "said"]


def test_the_same_texts_give_the_same_tokenizer() -> None:
    texts = corpus(300)
    vocabularies = [train_tokenizer(texts, 400, lowercase=True, max_length=32).get_vocab() for _ in range(5)]
    assert all(each == vocabularies[0] for each in vocabularies)


def test_fit_extends_it_by_characters_that_it_has_not_seen(folder: Path, tmp_path: Path) -> None:
    encoder = tmp_path / "encoder"
    load_tokenizer(str(folder)).save_pretrained(encoder)
    shape = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    BertModel(BertConfig(vocab_size=400, **shape)).save_pretrained(encoder)
    rows = [Example("球队比赛", "a"), Example("球队赢了比赛", "b")]
    settings = load_settings(None, {"name": "x", "model": str(encoder)}, {"path": "unused.csv"})
    dataset = Dataset(rows, rows, rows, ["a", "b"], "")
    extended = make_tokenizer(find_encoder(str(encoder)), dataset, settings, tmp_path / "extended")
    assert extended.added == 4
    assert extended.tokenizer.tokenize("球队比赛") == list("球队比赛")
    content = json.loads((tmp_path / "extended" / "tokenizer.json").read_text(encoding="utf-8"))
    assert content["model"]["type"] == "WordPiece"
