"""Which words an answer rests on: integrated gradients (Sundararajan, Taly, Yan 2017, "Axiomatic Attribution for Deep Networks").

The path leads from the text with every word blanked (padding in its place, special tokens kept) to the text, over the word
embeddings; what is explained is the logit of one label. The attributions of all tokens should sum to the difference between
the two logits. How far they are off is the completeness error, which says how far to trust the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from training.dataset import Example
from training.report.answers import Answers
from training.report.contents import Explained, Piece
from training.report.finished_model import FinishedModel
from training.report.mistakes import worst_decisions

STEPS = 16
BATCH = 16
Span = tuple[int, int]


def chosen_decisions(answers: Answers, most: int, seed: int) -> list[tuple[int, int]]:
    """(row, label) to explain: the surest mistakes for at most one half, then right answers drawn by the seed.

    Of a right answer the label is the most probable one.
    """
    wrong = worst_decisions(answers)[: most // 2]
    right = np.flatnonzero(answers.exact)
    drawn = np.sort(np.random.default_rng(seed).permutation(right)[: most - len(wrong)])
    return wrong + [(int(row), int(answers.probabilities[row].argmax())) for row in drawn]


def explanations(
    model: FinishedModel, examples: Sequence[Example], answers: Answers, most: int, seed: int
) -> list[Explained]:
    """Of some rows, mistakes first."""
    return [_explained(model, examples, answers, row, label) for row, label in chosen_decisions(answers, most, seed)]


def _explained(model: FinishedModel, examples: Sequence[Example], answers: Answers, row: int, label: int) -> Explained:
    example = examples[row]
    encoding = model.tokenizer(
        example.text,
        example.text_pair,
        truncation="longest_first",
        max_length=model.max_length,
        return_offsets_mapping=True,
        return_special_tokens_mask=True,
        return_token_type_ids=True,
    )
    weights, error = attributions(model, encoding, label)
    return Explained(
        line=row + 1,
        pieces=_pieces(example.text, encoding, weights, 0),
        pair_pieces=[] if example.text_pair is None else _pieces(example.text_pair, encoding, weights, 1),
        truth=answers.names(row, answers.right),
        predicted=answers.names(row, answers.given),
        label=answers.labels[label],
        probability=float(answers.probabilities[row, label]),
        right=bool(answers.exact[row]),
        difference=float(weights.sum() - error),
        completeness_error=abs(error),
    )


def attributions(model: FinishedModel, encoding: Any, label: int) -> tuple[NDArray[np.float64], float]:
    """Of each token, [tokens], what it adds to the label's logit; and by how much their sum is too large."""
    from captum.attr import LayerIntegratedGradients

    ids = torch.tensor([encoding["input_ids"]], device=model.device)
    special = torch.tensor([encoding["special_tokens_mask"]], device=model.device).bool()
    rest = (torch.ones_like(ids), torch.tensor([encoding["token_type_ids"]], device=model.device))
    integrated = LayerIntegratedGradients(model.classifier, model.classifier.encoder.get_input_embeddings())
    values, delta = integrated.attribute(
        ids,
        baselines=torch.where(special, ids, torch.full_like(ids, model.pad)),
        additional_forward_args=rest,
        target=label,
        n_steps=STEPS,
        internal_batch_size=BATCH,
        return_convergence_delta=True,
    )
    return values.sum(dim=-1)[0].detach().cpu().double().numpy(), float(delta[0])


def _pieces(text: str, encoding: Any, weights: NDArray[np.float64], sequence: int) -> list[Piece]:
    """The whole text in stretches: words with the sum of their tokens' weights, and what lies between and behind them."""
    pieces, reached = [], 0
    for (start, end), weight in _words(text, encoding, weights, sequence):
        if start > reached:
            pieces.append(Piece(text=text[reached:start], weight=None))
        pieces.append(Piece(text=text[start:end], weight=weight))
        reached = end
    if reached < len(text):
        pieces.append(Piece(text=text[reached:], weight=None))
    return pieces


def _words(text: str, encoding: Any, weights: NDArray[np.float64], sequence: int) -> Iterator[tuple[Span, float]]:
    """Spans of words without the white space that some tokenizers count among them, in order, none overlapping another."""
    found: dict[int, tuple[int, int, float]] = {}
    for token, (of, word) in enumerate(zip(encoding.sequence_ids(), encoding.word_ids(), strict=True)):
        if of == sequence and word is not None:
            start, end = encoding["offset_mapping"][token]
            low, high, weight = found.get(word, (start, end, 0.0))
            found[word] = (min(low, start), max(high, end), weight + float(weights[token]))
    reached = 0
    for start, end, weight in found.values():
        word = text[max(start, reached) : end]
        begin = max(start, reached) + len(word) - len(word.lstrip())
        if begin < end and word.strip():
            yield (begin, end), weight
            reached = end
