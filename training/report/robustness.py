"""How answers change when texts do, over a sample of the test rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from training.dataset import Example
from training.encoding import EncodedDataset, EncodedExample
from training.report.answers import Answers
from training.report.contents import Perturbed, Robustness
from training.report.finished_model import FinishedModel
from training.report.perturbations import PERTURBATIONS, Perturbation

Answer = Callable[[EncodedDataset, Sequence[Example]], Answers]


def robustness(
    model: FinishedModel, answer: Answer, examples: Sequence[Example], known: Answers, most: int, seed: int, title: str
) -> Robustness:
    """Perturbs at most `most` examples, of which `known` are the answers; a function of the examples and the seed.

    What the tokenizer makes the same ids of is not computed again, since the answer is the same.
    """
    sample = np.sort(np.random.default_rng(seed).permutation(len(examples))[:most])
    texts = [examples[i] for i in sample]
    known = known.at(sample)
    originals = model.encoded(texts)
    return Robustness(
        rows=len(texts),
        title=title,
        perturbations=[_perturbed(each, model, answer, texts, originals, known, seed) for each in PERTURBATIONS],
    )


def _perturbed(
    kind: Perturbation,
    model: FinishedModel,
    answer: Answer,
    texts: Sequence[Example],
    originals: EncodedDataset,
    known: Answers,
    seed: int,
) -> Perturbed:
    changed = [kind.of(example, seed) for example in texts]
    rows = [i for i, (one, other) in enumerate(zip(texts, changed, strict=True)) if _words(one) != _words(other)]
    named = {"name": kind.name, "what": kind.what, "keeps_meaning": kind.keeps_meaning, "rows": len(rows)}
    if not rows:
        return Perturbed(**named, before=0.0, after=0.0, flips=0, example=None)
    encoded = model.encoded([changed[i] for i in rows])
    read_anew = [n for n, i in enumerate(rows) if not _same(encoded[n], originals[i])]
    before = known.at(rows)
    given = before.given.copy()
    if read_anew:
        examples = [changed[rows[n]] for n in read_anew]
        given[read_anew] = answer(EncodedDataset([encoded[n] for n in read_anew]), examples).given
    after = replace(before, given=given)
    flipped = before.differ(after)
    shown = rows[int(flipped.argmax())]
    return Perturbed(
        **named,
        before=before.score,
        after=after.score,
        flips=int(flipped.sum()),
        example=(_text(texts[shown]), _text(changed[shown])),
    )


def _words(example: Example) -> tuple[str, str | None]:
    return example.text, example.text_pair


def _text(example: Example) -> str:
    return example.text if example.text_pair is None else f"{example.text} ⟂ {example.text_pair}"


def _same(one: EncodedExample, other: EncodedExample) -> bool:
    return one.input_ids == other.input_ids and one.token_type_ids == other.token_type_ids
