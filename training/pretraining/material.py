"""Everything that training needs, before a weight has moved."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from transformers import PreTrainedModel, PreTrainedTokenizerBase, set_seed

from training.encoders import EncoderSource
from training.failures import UnusableData
from training.model_making import load_tokenizer, position_limit
from training.pretraining.batches import Batches, Masking
from training.pretraining.corpus import Corpus
from training.pretraining.language_model import checkpoint_model, new_model
from training.pretraining.pieces import Pieces, SpecialTokens, cut, special_tokens
from training.pretraining.record import EncoderDirectory
from training.pretraining.settings import PretrainingSettings
from training.pretraining.wordpiece import train_tokenizer
from training.progress import Steps


@dataclass(frozen=True, slots=True)
class Beginning:
    """What is trained, as it is before: a checkpoint, or a new model with a new tokenizer."""

    tokenizer: PreTrainedTokenizerBase
    special: SpecialTokens
    model: PreTrainedModel


@dataclass(frozen=True, slots=True)
class Material:
    """A model and what it learns from."""

    corpus: Corpus
    tokenizer: PreTrainedTokenizerBase
    model: PreTrainedModel
    max_length: int
    pieces: Pieces
    """Those that are trained on."""
    training: Batches
    held_out: Batches


def from_checkpoint(settings: PretrainingSettings, source: EncoderSource) -> Beginning:
    """Raises InvalidSettings when the checkpoint is none of masked words, or cannot be had."""
    tokenizer = load_tokenizer(source.location)
    special = special_tokens(tokenizer, source.name)
    set_seed(settings.seed)  # of a head, where it has none
    return Beginning(tokenizer, special, checkpoint_model(source.location))


def from_scratch(settings: PretrainingSettings, corpus: Corpus, run: EncoderDirectory) -> Beginning:
    """The tokenizer is that of an earlier attempt, if there was one."""
    tokenizer = _new_tokenizer(settings, corpus, run)
    set_seed(settings.seed)
    return Beginning(tokenizer, special_tokens(tokenizer, settings.name), new_model(settings, tokenizer))


def prepared(settings: PretrainingSettings, beginning: Beginning, corpus: Corpus, progress: Steps) -> Material:
    """Cuts the texts into pieces. Raises UnusableData when the tokenizer finds nothing in them."""
    tokenizer, model = beginning.tokenizer, beginning.model
    max_length = min(settings.max_length, position_limit(model.config))
    training, held_out = (cut(texts, tokenizer, max_length, progress) for texts in (corpus.training, corpus.held_out))
    if not len(training.ids) or not len(held_out.ids):
        raise UnusableData(
            f"{', '.join(settings.paths)}: the tokenizer of {settings.model!r} finds no token in the texts"
        )
    masking = Masking(settings.masked_share, beginning.special, settings.seed)
    batches = [Batches(pieces, settings.batch_tokens, masking) for pieces in (training, held_out)]
    return Material(corpus, tokenizer, model, max_length, training, *batches)


def _new_tokenizer(settings: PretrainingSettings, corpus: Corpus, run: EncoderDirectory) -> PreTrainedTokenizerBase:
    """Trained once: an attempt that goes on needs the very same."""
    if not (run.tokenizer / "tokenizer.json").is_file():
        aside = run.trainer / "tokenizer.partial"
        shutil.rmtree(aside, ignore_errors=True)
        tokenizer = train_tokenizer(corpus.training, settings.vocabulary, settings.lowercase, settings.max_length)
        tokenizer.save_pretrained(aside)
        aside.replace(run.tokenizer)
    return load_tokenizer(str(run.tokenizer))
