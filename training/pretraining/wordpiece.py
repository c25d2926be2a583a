"""A WordPiece tokenizer (Wu et al. 2016) trained on the texts: BERT's normalisation, each Chinese character a word of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import accumulate

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import BertTokenizerFast

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
"""Ids 0 to 4."""
ALPHABET_SHARE = 0.75
"""Of the vocabulary, for single characters at most: Chinese needs thousands, and what is left is for words of letters. One that
also stands inside words, as Korean ones do, takes two tokens."""
MIN_COUNT = 2


def train_tokenizer(texts: Sequence[str], vocabulary: int, lowercase: bool, max_length: int) -> BertTokenizerFast:
    """A fast tokenizer of at most `vocabulary` tokens that encodes a text as [CLS] text [SEP]; the same for the same texts."""
    learner = _tokenizer(models.WordPiece(), lowercase)
    alphabet, inside = _characters(texts, learner, int(ALPHABET_SHARE * vocabulary))
    # the library numbers what continues a word in the order of a hash table, another one each time, and ties between merges
    # go by number; named here, these pieces get numbers that never change
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocabulary,
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        min_frequency=MIN_COUNT,
        special_tokens=[*SPECIAL, *(f"##{character}" for character in inside)],
        show_progress=False,
    )
    learner.train_from_iterator(texts, trainer)
    words = learner.get_vocab()
    tokenizer = _tokenizer(models.WordPiece(words), lowercase)
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, words[token]) for token in ("[CLS]", "[SEP]")],
    )
    return BertTokenizerFast(tokenizer_object=tokenizer, do_lower_case=lowercase, model_max_length=max_length)


def _tokenizer(model: models.Model, lowercase: bool) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def _characters(texts: Sequence[str], tokenizer: Tokenizer, most: int) -> tuple[list[str], list[str]]:
    """The most frequent characters of the texts, and which of them stand inside words; both sorted, together `most` at most."""
    counts: Counter[str] = Counter()
    inside: set[str] = set()
    for text in texts:
        for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(text)):
            counts.update(word)
            inside.update(word[1:])
    by_frequency = sorted(counts, key=lambda character: (-counts[character], character))
    tokens = accumulate(2 if character in inside else 1 for character in by_frequency)
    alphabet = sorted(character for character, so_far in zip(by_frequency, tokens, strict=True) if so_far <= most)
    return alphabet, [character for character in alphabet if character in inside]
