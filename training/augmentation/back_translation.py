"""Texts through another language and back, by two translation models such as Marian's.

After Sennrich, Haddow, Birch 2016, "Improving Neural Machine Translation Models with Monolingual Data".
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
from transformers import AutoConfig, AutoModelForSeq2SeqLM, AutoTokenizer

from training.failures import InvalidSettings
from training.typos import Random

AT_ONCE = 16
NUCLEUS = 0.9
"""Words are drawn from the likeliest ones that together have this probability (Holtzman et al. 2020): the likeliest
translation alone would often be the text itself, and every copy the same."""
LONGEST = 256
"""Tokens of a translation."""


def require_translation_model(location: str) -> None:
    """Raises InvalidSettings when there is no model."""
    try:
        AutoConfig.from_pretrained(location)
    except (OSError, ValueError) as error:
        raise _unavailable(location, error) from None


class Translation:
    """One model, from one language to another."""

    def __init__(self, location: str) -> None:
        """Opens the model. Raises InvalidSettings when it cannot be had."""
        try:
            with warnings.catch_warnings():
                # of punctuation that Moses would spell otherwise, which the models know as well
                warnings.filterwarnings("ignore", "Recommended: pip install sacremoses")
                self._tokenizer = AutoTokenizer.from_pretrained(location)
            self._model = AutoModelForSeq2SeqLM.from_pretrained(location, dtype=torch.float32).eval()
        except (OSError, ValueError) as error:
            raise _unavailable(location, error) from None
        self._longest = min(LONGEST, int(getattr(self._model.config, "max_position_embeddings", LONGEST)))
        self._model.to("cuda" if torch.cuda.is_available() else "cpu")

    def translated(self, texts: Sequence[str], seed: int) -> list[str]:
        """A translation of each, drawn by the seed."""
        batch = self._tokenizer(
            list(texts), padding=True, truncation=True, return_token_type_ids=False, return_tensors="pt"
        ).to(self._model.device)
        devices = [self._model.device] if self._model.device.type == "cuda" else []
        with torch.inference_mode(), torch.random.fork_rng(devices):
            torch.manual_seed(seed)
            tokens = self._model.generate(**batch, do_sample=True, top_p=NUCLEUS, num_beams=1, max_length=self._longest)
        translations: list[str] = self._tokenizer.batch_decode(tokens, skip_special_tokens=True)
        return [" ".join(each.split()) for each in translations]


class BackTranslation:
    """There and back."""

    def __init__(self, there: Translation, back: Translation) -> None:
        self._there = there
        self._back = back

    def changed(self, texts: Sequence[str], randoms: Sequence[Random], probability: float) -> list[str]:
        """The texts in other words, as many as the models choose. An empty translation leaves its text as it was."""
        results: list[str] = []
        for start in range(0, len(texts), AT_ONCE):
            some = slice(start, start + AT_ONCE)
            seed = int(randoms[start].integers(2**31))
            results += self._back.translated(self._there.translated(texts[some], seed), seed)
        return [new or old for new, old in zip(results, texts, strict=True)]


def _unavailable(location: str, error: Exception) -> InvalidSettings:
    return InvalidSettings(
        f"the translation model {location!r} could not be loaded ({str(error).splitlines()[0]}): give a folder made by "
        "save_pretrained, or a hub id such as Helsinki-NLP/opus-mt-en-de on a machine that reaches the hub"
    )
