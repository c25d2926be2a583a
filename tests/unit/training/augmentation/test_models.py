"""Words and translations that models propose, with tiny real models."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
import torch
from transformers import (
    BertConfig,
    BertForMaskedLM,
    MarianConfig,
    MarianMTModel,
    MarianTokenizer,
    RobertaConfig,
    RobertaForMaskedLM,
)

from tests.fakes.tiny_encoder import WORDS, write_tiny_decoder, write_tiny_encoder
from training.augmentation.back_translation import BackTranslation, Translation
from training.augmentation.synonyms import EmbeddingNeighbours, MaskedWords, whole_words
from training.encoders import EncoderSource
from training.failures import InvalidSettings
from training.model_making import load_tokenizer
from training.typos import Random

TEXTS = ["Bank profit rose 20 today, not the market", "球队比赛银行股市", "???"]


def randoms(count: int = len(TEXTS), seed: int = 0) -> list[Random]:
    return [np.random.default_rng([seed, number]) for number in range(count)]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def masked(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `pretrain` leaves one: with the head that guesses words."""
    folder = tmp_path_factory.mktemp("masked")
    tokenizer = load_tokenizer(str(encoder))
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertForMaskedLM(BertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, **shape)).save_pretrained(folder)
    return folder


def write_tiny_translator(folder: Path, seed: int) -> Path:
    """A Marian with random weights and SentencePiece models of its own, as those of the hub have them."""
    folder.mkdir()
    pieces = folder / "pieces"
    words = [word for word in WORDS if "#" not in word]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([" ".join(words[i:] + words[:i]) for i in range(len(words))]),
        model_prefix=str(pieces),
        vocab_size=45,
        character_coverage=1.0,
        minloglevel=2,
    )
    known = sentencepiece.SentencePieceProcessor(model_file=f"{pieces}.model")
    tokens = [known.id_to_piece(number) for number in range(3, known.vocab_size())]
    vocabulary = {token: number for number, token in enumerate(["<pad>", "</s>", "<unk>", *tokens])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    spm = {"source_spm": f"{pieces}.model", "target_spm": f"{pieces}.model"}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Recommended: pip install sacremoses")
        MarianTokenizer(vocab=str(folder / "vocab.json"), model_max_length=32, **spm).save_pretrained(folder)
    torch.manual_seed(seed)
    config = MarianConfig(
        vocab_size=len(vocabulary),
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        max_position_embeddings=64,
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,
    )
    model = MarianMTModel(config)
    model.generation_config.forced_eos_token_id = 1
    model.save_pretrained(folder)
    return folder


def test_whole_words_are_neither_pieces_nor_special_nor_numbers(encoder: Path, tmp_path: Path) -> None:
    words = whole_words(load_tokenizer(str(encoder)), 10_000)
    assert {"bank", "球"} <= words.keys()
    assert "球" not in whole_words(load_tokenizer(str(encoder)), 30)
    assert not {"##s", "s##", "[MASK]"} & words.keys()
    assert {"bank", "goal"} <= whole_words(load_tokenizer(str(write_tiny_decoder(tmp_path))), 10_000).keys()


def test_neighbours_are_near_of_the_same_script_and_not_the_word_itself() -> None:
    words = {"money": 0, "cash": 1, "Money": 2, "钱": 3, "sea": 4}
    vectors = torch.tensor([[1.0, 0.0], [0.9, 0.2], [1.0, 0.01], [1.0, 0.0], [0.0, 1.0]])
    near = EmbeddingNeighbours(words, vectors)
    assert near.near("money") == ["cash"]
    assert near.near("MONEY") == ["cash"]
    assert near.near("sea") == []
    assert near.near("unknown") == []
    assert near.changed(["No MONEY 钱 left, Money is gone."], randoms(1), 0.5) == ["No CASH 钱 left, Cash is gone."]


def test_neighbours_of_an_encoder_replace_words_by_the_seed(encoder: Path) -> None:
    near = EmbeddingNeighbours.of_encoder(EncoderSource("tiny", str(encoder), "cls"))
    changed = near.changed(TEXTS, randoms(), 0.5)
    assert changed == near.changed(TEXTS, randoms(), 0.5)
    assert changed[2] == "???"
    assert "not the" in changed[0]
    assert len(changed[1]) == len(TEXTS[1])


def test_a_masked_language_model_proposes_words_of_the_same_script(masked: Path) -> None:
    guesser = MaskedWords(str(masked))
    changed = guesser.changed(TEXTS, randoms(), 0.4)
    assert changed == guesser.changed(TEXTS, randoms(), 0.4)
    assert changed[0] != TEXTS[0]
    assert "20" in changed[0] and "not the" in changed[0]
    assert len(changed[0].split()) == len(TEXTS[0].split())
    assert changed[2] == "???"
    long = "market " * 200
    words = guesser.changed([long], randoms(1), 0.5)[0].split()
    assert len(words) == 200
    assert 0 < sum(word != "market" for word in words) <= 100


def test_what_is_likely_is_computed_for_masks_alone_and_no_further_than_a_model_has_positions(
    encoder: Path, tmp_path: Path
) -> None:
    tokenizer = load_tokenizer(str(encoder))
    tokenizer.save_pretrained(tmp_path)
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    # of 34 positions a RoBERTa has 32 for tokens
    config = RobertaConfig(vocab_size=len(tokenizer), max_position_embeddings=34, pad_token_id=0, **shape)
    model = RobertaForMaskedLM(config).eval()
    model.save_pretrained(tmp_path)
    guesser = MaskedWords(str(tmp_path))
    texts = ["the [MASK] rose today and the [MASK] fell", "球 队", "a new [MASK]", "[MASK] " * 50]
    guessed = guesser._likely(texts)
    assert [len(each) for each in guessed] == [2, 0, 1, 30]
    computed: list[int] = []
    guesser._model.lm_head.decoder.register_forward_hook(lambda _, given, __: computed.append(len(given[0])))
    assert guesser._likely(texts) == guessed
    assert computed == [33]
    words = whole_words(tokenizer, len(tokenizer))
    batch = tokenizer(texts[0], return_tensors="pt")
    first = model(**batch).logits[batch["input_ids"] == tokenizer.mask_token_id][0].detach()
    assert guessed[0][0] == sorted(words, key=lambda word: -float(first[words[word]]))[: len(guessed[0][0])]


def test_a_model_that_cannot_guess_words_is_refused(encoder: Path, tmp_path: Path) -> None:
    for location in ("minilm", str(encoder), str(tmp_path / "nowhere")):
        with pytest.raises(
            InvalidSettings, match=r"synonym_model .* has no head .* `python -m training pretrain`|could not be loaded"
        ):
            MaskedWords(location)


def test_texts_go_through_two_translation_models_and_back(tmp_path: Path) -> None:
    there, back = (Translation(str(write_tiny_translator(tmp_path / name, seed))) for seed, name in enumerate("ab"))
    texts = ["the bank rose today", "a new coach won the match", "good"]
    drawn = torch.random.get_rng_state()
    first = BackTranslation(there, back).changed(texts, randoms(), 0.1)
    assert first == BackTranslation(there, back).changed(texts, randoms(), 0.1)
    assert first != BackTranslation(there, back).changed(texts, randoms(seed=1), 0.1)
    assert all(text and "<" not in text for text in first)
    assert len(first) == 3
    assert torch.equal(drawn, torch.random.get_rng_state())


def test_a_translation_model_that_is_not_there_is_refused(encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match=r"could not be loaded .* save_pretrained"):
        Translation(str(tmp_path / "nowhere"))
    with pytest.raises(InvalidSettings, match="could not be loaded"):
        Translation(str(encoder))
