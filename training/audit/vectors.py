"""What a logistic regression sees of a text: the frozen encoder's sentence vector, and the text's characters."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from training.audit.settings import AuditSettings
from training.dataset import Example
from training.duplicates import Progress
from training.encoders import find_encoder
from training.encoding import collator, encode, sorted_batches
from training.failures import InvalidSettings
from training.heads import load_encoder, pooled
from training.model_making import load_tokenizer, padding_of, position_limit

MAX_LENGTH = 256
CHUNK = 4_096
"""Rows tokenized at a time, which bounds the memory that token ids take."""
BATCH = 32
CHARACTERS = (1, 3)
"""Lengths of the character n-grams. They see Chinese, which an English encoder reads as unknown tokens."""
HASHES = 2**18
FREQUENT = 20_000
CHARACTER_WIDTH = 256


def row_vectors(examples: list[Example], settings: AuditSettings, progress: Progress) -> NDArray[np.float32]:
    """float32 [rows, width] of the examples; both kinds of vectors have length 1.

    Of a pair (u, v) the row is u, v, |u - v| and u * v, as in Sentence-BERT (Reimers, Gurevych 2019).
    """
    texts = [example.text for example in examples]
    pairs = [example.text_pair for example in examples if example.text_pair is not None]
    vectors = text_vectors(texts + pairs, settings, progress)
    if not pairs:
        return vectors
    one, other = vectors[: len(texts)], vectors[len(texts) :]
    # products of unit vectors are small; this brings them to the scale of the rest
    product = np.float32(np.sqrt(vectors.shape[1])) * one * other
    return np.hstack([one, other, np.abs(one - other), product])


def text_vectors(texts: list[str], settings: AuditSettings, progress: Progress) -> NDArray[np.float32]:
    """float32 [texts, width]: the sentence vector beside the vector of the characters, each of length 1."""
    sentence = _normalised(sentence_vectors(texts, settings, progress))
    progress("character vectors", 0, len(texts))
    characters = _normalised(character_vectors(texts, settings.seed))
    progress("character vectors", len(texts), len(texts))
    return np.hstack([sentence, characters])


def sentence_vectors(texts: list[str], settings: AuditSettings, progress: Progress) -> NDArray[np.float32]:
    """Mean of the frozen encoder's last layer, float32 [texts, hidden size].

    The mean also where fine-tuning would take the first token: without training, that one says little.
    """
    source = find_encoder(settings.model)
    tokenizer = load_tokenizer(source.location)
    try:
        encoder = load_encoder(source.location).eval()
    except (OSError, ValueError) as error:
        raise InvalidSettings(
            f"the model {settings.model!r} could not be loaded: {str(error).splitlines()[0]}"
        ) from None
    device = "cuda" if torch.cuda.is_available() else "cpu"
    encoder.to(device)
    collate = collator(padding_of(tokenizer))
    longest = min(settings.max_length or MAX_LENGTH, position_limit(encoder.config))
    vectors = np.empty((len(texts), encoder.config.hidden_size), np.float32)
    done = 0
    with torch.inference_mode():
        for start in range(0, len(texts), CHUNK):
            chunk = [Example(text, "") for text in texts[start : start + CHUNK]]
            encoded = encode(chunk, tokenizer, [0] * len(chunk), longest)
            for positions, rows in sorted_batches(encoded, BATCH):
                batch = {name: value.to(device) for name, value in collate(rows).items() if name != "labels"}
                vectors[start + np.array(positions)] = pooled(encoder, "mean", **batch).float().cpu().numpy()
                done += len(rows)
                progress("sentence vectors", done, len(texts))
    return vectors


def character_vectors(texts: list[str], seed: int) -> NDArray[np.float32]:
    """Latent semantic analysis of character n-grams (tf-idf, then a truncated SVD), float32 [texts, up to 256].

    It learns from the texts alone, never from the labels, so that all rows may share it. Hashing bounds the vocabulary,
    and only the n-grams that most texts hold stay, since the cost of the SVD grows with their number.
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

    hashing = HashingVectorizer(
        analyzer="char_wb", ngram_range=CHARACTERS, alternate_sign=False, norm=None, n_features=HASHES, dtype=np.float32
    )
    counts = hashing.transform(texts)
    holders = np.bincount(counts.indices, minlength=HASHES)
    frequent = np.argsort(-holders, kind="stable")[:FREQUENT]
    counts = counts[:, np.sort(frequent[holders[frequent] > 1])]
    width = min(CHARACTER_WIDTH, *(side - 1 for side in counts.shape))
    if width < 1:
        return np.zeros((len(texts), 1), np.float32)
    weighted = TfidfTransformer(sublinear_tf=True).fit_transform(counts)
    reduced: NDArray[np.float32] = TruncatedSVD(width, random_state=seed).fit_transform(weighted)
    return reduced.astype(np.float32)


def _normalised(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True).astype(np.float32)
    unit: NDArray[np.float32] = np.divide(vectors, np.maximum(lengths, np.float32(1e-9)), dtype=np.float32)
    return unit
