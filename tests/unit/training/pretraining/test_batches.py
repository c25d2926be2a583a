from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.tiny_encoder import write_tiny_decoder, write_tiny_encoder
from training.failures import InvalidSettings
from training.model_making import load_tokenizer
from training.preparation import silent
from training.pretraining.batches import Batches, Inputs, Masking, collate
from training.pretraining.batching import grouped
from training.pretraining.masking import mask_words
from training.pretraining.pieces import Pieces, SpecialTokens, cut, special_tokens

SPECIAL = SpecialTokens(first=2, last=3, pad=0, mask=4, ordinary=np.arange(5, 1_000, dtype=np.int32))
Lengths = st.lists(st.integers(1, 30), min_size=1, max_size=200)


def numbered(lengths: list[int]) -> Pieces:
    """Pieces whose tokens are 5, 6, 7, ... throughout, each a word of its own."""
    total = sum(lengths)
    begins = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Pieces(np.arange(5, 5 + total, dtype=np.int32), np.ones(total, np.bool_), begins)


def unmasked(inputs: Inputs) -> torch.Tensor:
    """The batch's ids before masking."""
    ids = inputs["input_ids"].clone()
    ids[inputs["masked"]] = inputs["labels"]
    return ids


@given(lengths=Lengths, number=st.integers(0, 3))
def test_a_pass_holds_every_token_once_within_the_bounds(lengths: list[int], number: int) -> None:
    pieces = numbered(lengths)
    batches = grouped(pieces.lengths, 64, np.random.default_rng(number))
    masking = Masking(0.15, SPECIAL, 1)
    seen: list[int] = []
    for at, batch in enumerate(batches):
        ids = unmasked(collate(batch, pieces, masking, at))
        assert ids.numel() <= 64
        seen += ids[ids > SPECIAL.mask].tolist()
    assert sorted(seen) == pieces.ids.tolist()


def test_grouping_pads_little() -> None:
    lengths = np.random.default_rng(0).integers(8, 60, 2_000)
    batches = grouped(lengths, 1_024, np.random.default_rng(0))
    padded = sum(len(batch) * max(lengths[piece] for piece in batch) for batch in batches)
    assert lengths.sum() / padded > 0.95


def test_a_batch_depends_on_its_number_and_the_seed_alone() -> None:
    pieces = numbered([5] * 40)

    def batches(seed: int) -> Batches:
        return Batches(pieces, 64, Masking(0.3, SPECIAL, seed))

    in_order = [batches(1)[number] for number in range(20)]
    one = batches(1)
    for number in (19, 3, 12):
        assert all(torch.equal(one[number][name], in_order[number][name]) for name in in_order[number])
    assert any(not torch.equal(batches(2)[n]["input_ids"], in_order[n]["input_ids"]) for n in range(20))
    passes = one.in_first_pass
    assert not torch.equal(one[0]["masked"], one[passes]["masked"])  # the next pass masks other words of other batches


def test_masked_shares_are_those_of_the_paper() -> None:
    generator = np.random.default_rng(0)
    ids = generator.integers(5, 1_000, (200, 100)).astype(np.int32)
    words = np.arange(ids.size).reshape(ids.shape)
    seen, masked = mask_words(ids, words, 0.15, SPECIAL, generator)
    assert masked.mean() == pytest.approx(0.15, abs=0.01)
    assert (seen[masked] == SPECIAL.mask).mean() == pytest.approx(0.8, abs=0.03)
    assert (seen[masked] == ids[masked]).mean() == pytest.approx(0.1, abs=0.02)
    assert (seen[~masked] == ids[~masked]).all()


def test_a_word_is_masked_as_a_whole_and_special_tokens_never() -> None:
    generator = np.random.default_rng(0)
    words = np.repeat(np.arange(500), 4).reshape(20, 100)
    words[:, 0] = words[:, 99] = -1
    _, masked = mask_words(np.full(words.shape, 9, np.int32), words, 0.3, SPECIAL, generator)
    assert not masked[:, [0, 99]].any()
    for word in range(500):
        assert len(set(masked[words == word].tolist())) == 1


def test_something_is_masked_in_a_batch_of_one_word() -> None:
    for number in range(20):
        inputs = collate([0], numbered([1]), Masking(0.01, SPECIAL, 0), number)
        assert inputs["labels"].tolist() == [5]


def test_long_texts_are_cut_into_pieces_without_a_loss(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(str(write_tiny_encoder(tmp_path)))
    texts = ["the bank rose today again", "银行股市新比赛", "", "goal"]
    pieces = cut(texts, tokenizer, 6, silent)
    expected = [token for text in texts for token in tokenizer(text, add_special_tokens=False)["input_ids"]]
    assert pieces.ids.tolist() == expected
    assert pieces.lengths.max() == 6
    assert (np.diff(pieces.begins) > 0).all()
    assert pieces.word_starts[pieces.begins[:-1]].all()


def test_words_are_those_of_the_tokenizer(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(str(write_tiny_encoder(tmp_path)))
    pieces = cut(["banks 银行"], tokenizer, 16, silent)
    assert tokenizer.convert_ids_to_tokens(pieces.ids.tolist()) == ["bank", "##s", "银", "行"]
    assert pieces.word_starts.tolist() == [True, False, True, True]


def test_a_decoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="not made for masked words"):
        special_tokens(load_tokenizer(str(write_tiny_decoder(tmp_path))), "gpt")
