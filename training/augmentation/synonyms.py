"""Other words for the words of a text: neighbours among a model's input embeddings, or what a masked language model proposes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize
from transformers import AutoConfig, AutoModelForMaskedLM, PreTrainedTokenizerBase

from training.augmentation.words import Words, changes_of, in_case_of, replaceable, same_script
from training.encoders import PACKAGED, EncoderSource
from training.failures import InvalidSettings
from training.heads import load_encoder
from training.masked_positions import MaskedOnly
from training.model_making import load_tokenizer, position_limit
from training.typos import Random

NEAREST = 5
"""Words that one is drawn from."""
LEAST_COSINE = 0.4
"""Of neighbours. In MiniLM "money" has dollars, funds and cash above it, and bank below."""
WORD_MARKS = ("Ġ", "▁")
"""What begins a word in byte-level and SentencePiece vocabularies; WordPiece marks what does not, with ##."""
AT_ONCE = 32


def whole_words(tokenizer: PreTrainedTokenizerBase, below: int) -> dict[str, int]:
    """Those tokens of the vocabulary that are words of letters alone, or single Chinese characters -> their ids.

    `below`: tokens that the model knows; a tokenizer can have more.
    """
    vocabulary = tokenizer.get_vocab()
    marked = any(token.startswith(WORD_MARKS) for token in vocabulary)
    special = set(tokenizer.all_special_ids)
    words: dict[str, int] = {}
    for token, number in sorted(vocabulary.items(), key=lambda each: each[1]):
        if (
            number >= below
            or number in special
            or (marked and not token.startswith(WORD_MARKS))
            or token.startswith("##")
        ):
            continue
        word = tokenizer.decode([number]).strip() if marked else token
        if word.isalpha():
            words.setdefault(word, number)
    return words


class EmbeddingNeighbours:
    """Words whose input embeddings are near: cosine of at least 0.4, the five nearest of the same script."""

    def __init__(self, words: dict[str, int], embeddings: Tensor) -> None:
        """`embeddings` float32 [vocabulary, width]."""
        self._words = list(words)
        self._places = {word: place for place, word in enumerate(self._words)}
        self._vectors = normalize(embeddings[list(words.values())])
        self._known: dict[str, list[str]] = {}

    @classmethod
    def of_encoder(cls, source: EncoderSource) -> EmbeddingNeighbours:
        """Those of an encoder as it was pre-trained."""
        embeddings = load_encoder(source.location).get_input_embeddings().weight.detach()
        return cls(whole_words(load_tokenizer(source.location), len(embeddings)), embeddings)

    def changed(self, texts: Sequence[str], randoms: Sequence[Random], probability: float) -> list[str]:
        """The texts with some words replaced; one in which no word has a neighbour stays."""
        return [self._changed(text, random, probability) for text, random in zip(texts, randoms, strict=True)]

    def near(self, word: str) -> list[str]:
        """Other words for it, the nearest first; none for a word that is no token of its own."""
        place = self._places.get(word, self._places.get(word.lower()))
        if place is None:
            return []
        if word not in self._known:
            cosines = self._vectors @ self._vectors[place]
            nearest = cosines.topk(min(4 * NEAREST, len(self._words)))
            others = [
                self._words[i]
                for i, cosine in zip(nearest.indices.tolist(), nearest.values.tolist(), strict=True)
                if cosine >= LEAST_COSINE and self._words[i].lower() != word.lower()
            ]
            self._known[word] = [other for other in others if same_script(other, word)][:NEAREST]
        return self._known[word]

    def _changed(self, text: str, random: Random, probability: float) -> str:
        parts = Words.of(text)
        words = list(parts.words)
        places = [place for place in replaceable(words) if self.near(words[place])]
        count = min(changes_of(words, probability), len(places))
        for place in random.choice(places, count, replace=False).tolist() if places else []:
            near = self.near(words[place])
            words[place] = in_case_of(near[int(random.integers(len(near)))], words[place])
        return parts.having(words)


def require_masked_model(location: str) -> None:
    """Raises InvalidSettings when there is no model, or one that is known to guess no words."""
    if location == PACKAGED:
        raise InvalidSettings(_headless(location, "is a sentence encoder and "))
    try:
        AutoConfig.from_pretrained(location)
    except (OSError, ValueError) as error:
        raise _unavailable(location, error) from None


class MaskedWords:
    """Words that a masked language model finds likely in the place of a hidden one (Wu et al. 2019; Kumar et al. 2020)."""

    def __init__(self, location: str) -> None:
        """Opens the model. Raises InvalidSettings when it cannot be had or has no head that guesses words."""
        require_masked_model(location)
        self._tokenizer = load_tokenizer(location)
        try:
            self._model, loaded = AutoModelForMaskedLM.from_pretrained(
                location, dtype=torch.float32, output_loading_info=True
            )
        except (OSError, ValueError) as error:
            raise _unavailable(location, error) from None
        if loaded["missing_keys"] or self._tokenizer.mask_token is None:
            raise InvalidSettings(_headless(location, ""))
        self._model.eval().to("cuda" if torch.cuda.is_available() else "cpu")
        self._only = MaskedOnly(self._model)
        words = whole_words(self._tokenizer, self._model.config.vocab_size)
        self._words, self._ids = list(words), list(words.values())

    def changed(self, texts: Sequence[str], randoms: Sequence[Random], probability: float) -> list[str]:
        """The texts with some words replaced by one of the five likeliest others of the same script."""
        results: list[str] = []
        for start in range(0, len(texts), AT_ONCE):
            some = slice(start, start + AT_ONCE)
            results += self._batch(texts[some], randoms[some], probability)
        return results

    def _batch(self, texts: Sequence[str], randoms: Sequence[Random], probability: float) -> list[str]:
        parts = [Words.of(text) for text in texts]
        hidden = [_chosen(each.words, random, probability) for each, random in zip(parts, randoms, strict=True)]
        mask = str(self._tokenizer.mask_token)
        masked = [
            each.having([mask if i in places else word for i, word in enumerate(each.words)])
            for each, places in zip(parts, hidden, strict=True)
        ]
        likely = self._likely(masked)
        results = []
        for each, places, proposals, random in zip(parts, hidden, likely, randoms, strict=True):
            words = list(each.words)
            # where the text is longer than the model reads, the last ones have no proposals
            for place, proposed in zip(places, proposals, strict=False):
                old = words[place]
                others = [word for word in proposed if word.lower() != old.lower() and same_script(word, old)]
                if others:
                    words[place] = in_case_of(others[int(random.integers(min(NEAREST, len(others))))], old)
            results.append(each.having(words))
        return results

    def _likely(self, masked: list[str]) -> list[list[list[str]]]:
        """For each text, for each mask in it, whole words, the likeliest first."""
        limit = min(int(self._tokenizer.model_max_length), position_limit(self._model.config))
        batch = self._tokenizer(masked, padding=True, truncation=True, max_length=limit, return_tensors="pt")
        hidden = batch["input_ids"] == self._tokenizer.mask_token_id
        inputs = {name: tensor.to(self._model.device) for name, tensor in {**batch, "masked": hidden}.items()}
        with torch.inference_mode():
            logits = self._only.logits(self._model, inputs)[:, self._ids]
            best = logits.topk(min(4 * NEAREST, len(self._ids)), dim=1).indices.tolist()
        words = iter([self._words[i] for i in each] for each in best)
        return [list(islice(words, count)) for count in hidden.sum(dim=1).tolist()]


def _chosen(words: Sequence[str], random: Random, probability: float) -> list[int]:
    places = replaceable(words)
    count = min(changes_of(words, probability), len(places))
    return sorted(np.asarray(random.choice(places, count, replace=False)).tolist()) if places else []


def _unavailable(location: str, error: Exception) -> InvalidSettings:
    return InvalidSettings(_headless(location, f"could not be loaded ({str(error).splitlines()[0]}) or "))


def _headless(location: str, why: str) -> str:
    return (
        f"synonym_model {location!r} {why}has no head that guesses masked words: give a folder that `python -m training "
        "pretrain` made, or a hub id such as bert-base-uncased or bert-base-chinese; without synonym_model the encoder's own "
        "embeddings say which words are near"
    )
