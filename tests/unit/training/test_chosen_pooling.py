"""What stands for a text: what is wanted, else what the encoder says of itself, else what is usual for its kind."""

from __future__ import annotations

import pytest
from transformers import BertConfig, GPT2Config, PretrainedConfig

from training.encoders import EncoderSource, Pooling
from training.failures import InvalidSettings
from training.model_making import chosen_pooling

ENCODER, DECODER = BertConfig(), GPT2Config()


@pytest.mark.parametrize(
    ("config", "said", "wanted", "chosen"),
    [
        (ENCODER, None, None, "cls"),
        (ENCODER, "mean", None, "mean"),
        (ENCODER, "last", None, "last"),
        (ENCODER, "last", "cls", "cls"),
        (DECODER, None, None, "last"),
        (DECODER, "mean", None, "mean"),
        (DECODER, "mean", "last", "last"),
    ],
)
def test_what_is_wanted_goes_before_what_the_encoder_says(
    config: PretrainedConfig, said: Pooling | None, wanted: Pooling | None, chosen: Pooling
) -> None:
    assert chosen_pooling(wanted, EncoderSource("x", "x", said), config) == chosen


def test_a_sentence_encoder_that_says_nothing_has_the_mean_and_a_decoder_its_last_token() -> None:
    silent = EncoderSource("x", "x", None)
    assert chosen_pooling(None, silent, ENCODER, usual="mean") == "mean"
    assert chosen_pooling(None, silent, DECODER, usual="mean") == "last"


@pytest.mark.parametrize(("said", "wanted"), [(None, "cls"), ("cls", None)])
def test_the_first_token_of_a_decoder_stands_for_no_text(said: Pooling | None, wanted: Pooling | None) -> None:
    with pytest.raises(InvalidSettings, match="the first token sees no other"):
        chosen_pooling(wanted, EncoderSource("x", "x", said), DECODER)
