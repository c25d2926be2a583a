"""An encoder and its tokenizer, made ready for the data at hand."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten

from transformers import AutoConfig, AutoTokenizer, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from training.dataset import Dataset
from training.encoders import EncoderSource, Pooling
from training.failures import InvalidSettings
from training.heads import HEADS, Classifier, HeadSettings, is_causal, load_encoder
from training.prefix import AFTER_PADDING
from training.sentence_encoder import SentenceEncoder
from training.settings import FineTuneSettings
from training.vocabulary import (
    MIN_UNKNOWN_SHARE,
    extend_embeddings,
    extend_tokenizer,
    is_wordpiece,
    missing_characters,
    unknown_share,
)

SAMPLE = 2_000
SAID = 200
"""Characters of another library's error."""


@dataclass(frozen=True, slots=True)
class Tokenization:
    """A tokenizer in a folder of its own, and the number of tokens it gained."""

    tokenizer: PreTrainedTokenizerBase
    folder: Path
    added: int

    @property
    def pad_token_id(self) -> int:
        """See `padding_of`."""
        return padding_of(self.tokenizer)


def padding_of(tokenizer: PreTrainedTokenizerBase) -> int:
    """Id of the padding token; of tokenizers without one any will do, since it is masked."""
    return int(tokenizer.pad_token_id or 0)


def make_tokenizer(source: EncoderSource, dataset: Dataset, settings: FineTuneSettings, folder: Path) -> Tokenization:
    """The encoder's tokenizer, extended by the training rows' unknown characters where that is worthwhile."""
    tokenizer = load_tokenizer(source.location)
    shutil.rmtree(folder, ignore_errors=True)
    tokenizer.save_pretrained(folder)
    parts = ((each.text, each.text_pair, each.negative) for each in dataset.train)
    texts = [part for example in parts for part in example if part]
    if settings.extend_vocabulary == "off" or not is_wordpiece(folder):
        return Tokenization(tokenizer, folder, 0)
    if unknown_share(texts[:: max(1, len(texts) // SAMPLE)], tokenizer) < MIN_UNKNOWN_SHARE:
        return Tokenization(tokenizer, folder, 0)
    characters = missing_characters(texts, tokenizer)
    extend_tokenizer(folder, characters)
    return Tokenization(load_tokenizer(str(folder)), folder, len(characters))


def load_tokenizer(location: str) -> PreTrainedTokenizerBase:
    """A fast tokenizer from a folder or hub id. Raises InvalidSettings when it cannot be had."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(location, use_fast=True)
    except (OSError, ValueError) as error:
        raise _not_loaded(location, error) from None
    except TypeError:  # transformers opens the file of the vocabulary without asking whether there is one
        raise _not_loaded(location, "it has no tokenizer.json and no vocabulary") from None
    if not tokenizer.is_fast:
        raise InvalidSettings(f"the model {location!r} has no fast tokenizer, which serving needs (tokenizer.json)")
    return tokenizer


def make_model(
    source: EncoderSource, tokenization: Tokenization, labels: list[str], settings: FineTuneSettings
) -> Classifier:
    """The pre-trained encoder with a new head of the task's kind."""
    encoder = _encoder(source, tokenization, settings)
    head = _head_settings(source, encoder.config, labels, settings)
    return HEADS[head.kind](encoder, head)


def _head_settings(
    source: EncoderSource, config: PretrainedConfig, labels: list[str], settings: FineTuneSettings
) -> HeadSettings:
    if settings.task != "token_classification":
        pooling = chosen_pooling(settings.pooling, source, config)
        return HeadSettings(labels=labels, pooling=pooling, dropout=settings.dropout)
    if is_causal(config):
        raise InvalidSettings(
            f"model: in {source.name!r} a token sees nothing of what stands behind it, not even the rest of its word; choose an "
            "encoder, such as a BERT, for token_classification"
        )
    return HeadSettings(kind="token", labels=labels, pooling=None, dropout=settings.dropout)


def make_sentence_encoder(
    source: EncoderSource, tokenization: Tokenization, settings: FineTuneSettings
) -> SentenceEncoder:
    """The pre-trained encoder with its pooling: what it says itself, else the mean (Reimers and Gurevych 2019)."""
    encoder = _encoder(source, tokenization, settings)
    return SentenceEncoder(encoder, chosen_pooling(settings.pooling, source, encoder.config, usual="mean"))


def _encoder(source: EncoderSource, tokenization: Tokenization, settings: FineTuneSettings) -> PreTrainedModel:
    """With rows for the tokens that the tokenizer gained. Raises InvalidSettings when it cannot be had."""
    try:
        encoder = load_encoder(source.location)
    except (OSError, ValueError) as error:
        raise _not_loaded(source.location, error) from None
    if tokenization.added:
        extend_embeddings(encoder, len(tokenization.tokenizer), settings.seed)
    return encoder


def load_config(source: EncoderSource) -> PretrainedConfig:
    """Of the encoder. Raises InvalidSettings when it cannot be had."""
    try:
        return AutoConfig.from_pretrained(source.location)
    except (OSError, ValueError) as error:
        raise _not_loaded(source.location, error) from None


def _not_loaded(location: str, reason: Exception | str) -> InvalidSettings:
    # the first line may list every architecture there is
    said = shorten(str(reason).splitlines()[0], SAID, placeholder=" ...")
    return InvalidSettings(
        f"the model {location!r} could not be loaded ({said}): give a folder made by save_pretrained, a hub id on a machine "
        "that reaches the hub, or the packaged model `minilm`"
    )


def chosen_pooling(
    wanted: Pooling | None, source: EncoderSource, config: PretrainedConfig, usual: Pooling = "cls"
) -> Pooling:
    """What is wanted, else what the encoder says of itself, else the last token of a decoder and the `usual` of all others.

    Raises InvalidSettings where that cannot work.
    """
    chosen = wanted or source.pooling or ("last" if is_causal(config) else usual)
    if chosen not in possible_poolings(config):
        raise InvalidSettings(
            f"pooling: in a model such as {source.name!r} the first token sees no other; use last (the default there) or mean"
        )
    return chosen


def possible_poolings(config: PretrainedConfig) -> tuple[Pooling, ...]:
    """Those in which a text is seen as a whole, the usual ones first."""
    return ("mean", "last") if is_causal(config) else ("mean", "cls", "last")


def position_limit(config: PretrainedConfig) -> int:
    """Longest input the encoder has positions for."""
    positions = int(getattr(config, "max_position_embeddings", 512))
    return positions - 2 if config.model_type in AFTER_PADDING else positions
