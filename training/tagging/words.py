"""The words of a text as a tokenizer sees them, which are what a served model tags.

A word is what the tokenizer splits off before it looks into its vocabulary: a run of letters, a punctuation mark, one Chinese
character. The first token of a word speaks for it, in training as in serving (`services/inference/tasks/words.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tokenizers import Encoding, Tokenizer

from training.dataset import Dataset, Example, Word


def with_words(examples: Sequence[Example], tokenizer_file: Path, max_length: int) -> list[Example]:
    """The examples with the words that a model reads of them: those whose first token is among the first `max_length`.

    Examples without entities to learn stay as they are.
    """
    if not any(example.entities is not None for example in examples):
        return list(examples)
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length)
    encodings = tokenizer.encode_batch([example.text for example in examples])
    pairs = zip(examples, encodings, strict=True)
    return [replace(example, words=tuple(words_of(encoding, example.text))) for example, encoding in pairs]


def dataset_with_words(dataset: Dataset, tokenizer_folder: Path, max_length: int) -> Dataset:
    """The same of all splits."""
    file = tokenizer_folder / "tokenizer.json"
    return dataset.changed(lambda rows: with_words(rows, file, max_length))


def reads_of(example: Example) -> list[int] | None:
    """The tokens that speak for the words of the example, where words are labelled."""
    return None if example.words is None else [word.token for word in example.words]


def words_of(encoding: Encoding, text: str) -> list[Word]:
    """Words in the order of the text, which never overlap: of one and the same character (a ligature that the tokenizer takes
    apart) only one is made. White space at the edges of a word, as byte-level tokenizers have it, is no part of it.
    """
    found: dict[int, Word] = {}
    for token, (number, (start, end)) in enumerate(zip(encoding.word_ids, encoding.offsets, strict=True)):
        if number is None:
            continue
        word = found.get(number)
        found[number] = (
            Word(start, end, token) if word is None else Word(min(word.start, start), max(word.end, end), word.token)
        )
    words: list[Word] = []
    for word in sorted(found.values(), key=lambda each: each.start):
        start, end = trimmed(text, word.start, word.end)
        if start >= end:
            continue
        if words and start < words[-1].end:
            words[-1] = replace(words[-1], end=max(words[-1].end, end))
        else:
            words.append(Word(start, end, word.token))
    return words


def trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """The stretch without white space at its edges; empty where it is nothing else."""
    inside = text[start:end]
    start += len(inside) - len(inside.lstrip())
    return start, start + len(inside.strip())
