"""Tokens of scripts that do not occur go; texts of those that do are read as before, in English and Chinese."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel

from export.failures import ExportFailure
from export.rows import Row, tokenize
from export.structure.scripts import scripts_in, scripts_of
from export.structure.vocabulary import Trimming, require_same, trim, trimmed_tokenizer, trimming_of, write_trimmed
from training.dataset import Example
from training.heads import HeadSettings, SequenceClassifier

WORDS = [
    "[PAD]",
    "[unused0]",
    "мир",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "the",
    "team",
    "##s",
    "球",
    "队",
    "##队",
    "ね",
    "α",
    "##ир",
    "é",
    "7",
]
ENGLISH = ["the teams", "The team, 7 é ⅳ!", "unheard"]
CHINESE = ["球队 the team", "球隊贏了"]
RUSSIAN = ["мир the team"]


def content(vocabulary: list[str] = WORDS) -> dict[str, Any]:
    tokenizer = Tokenizer(models.WordPiece({word: n for n, word in enumerate(vocabulary)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    special = [(name, vocabulary.index(name)) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=special
    )
    tokenizer.enable_padding(pad_id=vocabulary.index("[PAD]"), pad_token="[PAD]")
    found: dict[str, Any] = json.loads(tokenizer.to_str())
    return found


def rows(tokenizer: Path, texts: list[str]) -> list[Row]:
    return tokenize([Example(text, "", text_pair=None) for text in texts], tokenizer, 32)


def words(tokenizer: Path, text: str) -> list[str]:
    return list(Tokenizer.from_file(str(tokenizer)).encode(text).tokens)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.json"
    path.write_text(json.dumps(content()), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("character", "scripts"),
    [
        *(
            ("a", set()),
            ("é", set()),
            ("7", set()),
            ("！", set()),
            ("ｱ", {"Katakana"}),
            ("中", {"Han"}),
            ("㈱", {"Han"}),
        ),
        *(
            ("ひ", {"Hiragana"}),
            ("한", {"Hangul"}),
            ("ж", {"Cyrillic"}),
            ("Ａ", set()),
            ("ά", {"Greek"}),
            ("ा", {"Devanagari"}),
        ),
    ],
)
def test_a_letter_has_a_script_and_latin_belongs_to_all(character: str, scripts: set[str]) -> None:
    assert scripts_of(character) == scripts


def test_of_english_rows_only_english_stays(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.json"
    trimming = write_trimmed(source, target, len(WORDS), ENGLISH)
    assert [WORDS[number] for number in trimming.kept] == [
        *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "team", "##s", "é", "7")
    ]
    assert trimming.scripts == ["Cyrillic", "Greek", "Han", "Hiragana"]
    require_same(rows(source, ENGLISH), rows(target, ENGLISH), trimming)
    assert words(target, CHINESE[0])[:5] == ["[CLS]", "[UNK]", "[UNK]", "the", "team"]
    record = trimming.record(8)
    assert (record.tokens, record.tokens_before, record.bytes_saved) == (9, 17, 8 * 8 * 4)


def test_of_chinese_rows_chinese_and_latin_stay_and_logits_are_the_same(source: Path, tmp_path: Path) -> None:
    target, texts = tmp_path / "target.json", [*ENGLISH, *CHINESE]
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS) + 3,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=40,
    )
    model = SequenceClassifier(
        BertModel(config, add_pooling_layer=False), HeadSettings(labels=["a", "b"], pooling="mean")
    ).eval()

    def logits(tokenizer: Path) -> torch.Tensor:
        with torch.inference_mode():
            each = [
                model(torch.tensor([row.ids]), torch.ones(1, len(row.ids), dtype=torch.int64))
                for row in rows(tokenizer, texts)
            ]
        return torch.cat(each)

    before = logits(source)
    # an encoder may have more rows than its tokenizer has tokens
    trimming = write_trimmed(source, target, len(WORDS) + 3, texts)
    assert trimming.scripts == ["Cyrillic", "Greek", "Hiragana"]
    trim(model, trimming)
    assert model.encoder.get_input_embeddings().weight.shape == (12, 16)
    assert model.config.vocab_size == 12
    assert torch.equal(logits(target), before)
    require_same(rows(source, texts), rows(target, texts), trimming)
    assert words(target, RUSSIAN[0]) == ["[CLS]", "[UNK]", "the", "team", "[SEP]"]


def test_a_row_that_would_be_read_otherwise_is_refused(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.json"
    trimming = write_trimmed(source, target, len(WORDS), ENGLISH)
    with pytest.raises(ExportFailure, match="tokens of row 2"):
        require_same(rows(source, ["the", *RUSSIAN]), rows(target, ["the", *RUSSIAN]), trimming)


def test_unigram_tokens_and_the_ends_of_roberta_are_renumbered(tmp_path: Path) -> None:
    pieces = [
        ("<s>", 0.0),
        ("<pad>", 0.0),
        ("</s>", 0.0),
        ("<unk>", 0.0),
        ("▁мир", -2.0),
        ("▁team", -2.0),
        ("s", -3.0),
        ("▁", -3.0),
    ]
    tokenizer = Tokenizer(models.Unigram([*pieces, ("球", -4.0), ("<mask>", 0.0)], unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    source, target = tmp_path / "source.json", tmp_path / "target.json"
    tokenizer.save(str(source))
    trimming = write_trimmed(source, target, 10, ["teams", "球"])
    assert trimming.kept == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    require_same(rows(source, ["teams 球", "x"]), rows(target, ["teams 球", "x"]), trimming)
    assert Tokenizer.from_file(str(target)).token_to_id("<mask>") == 8
    assert words(target, "мир") == ["<s>", "▁", "мир", "</s>"]


def test_bytes_are_no_pieces_of_text() -> None:
    with pytest.raises(ExportFailure, match="this one is BPE"):
        trimming_of({"model": {"type": "BPE", "vocab": {}}}, 10, frozenset())


def test_the_padding_token_keeps_its_number(source: Path, tmp_path: Path) -> None:
    vocabulary = ["мир", *(word for word in WORDS if word != "мир")]
    moved = content(vocabulary)
    trimming = trimming_of(moved, len(vocabulary), frozenset())
    assert trimmed_tokenizer(moved, trimming)["model"]["vocab"]["[PAD]"] == 0
    config = BertConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, pad_token_id=1
    )
    model = SequenceClassifier(
        BertModel(config, add_pooling_layer=False), HeadSettings(labels=["a", "b"], pooling="mean")
    )
    with pytest.raises(ExportFailure, match="padding token"):
        trim(model, Trimming(list(range(1, 20)), 20, []))


def test_scripts_of_texts_are_those_of_all_their_letters() -> None:
    assert scripts_in([*ENGLISH, *CHINESE, "мы"]) == {"Han", "Cyrillic"}
    assert scripts_in([]) == frozenset()
