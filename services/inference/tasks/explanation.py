"""Which words moved a label: the text is classified again without each of them.

Occlusion (Zeiler and Fergus 2014; for texts Li, Monroe, Jurafsky 2016, "Understanding Neural Networks through
Representation Erasure"): needs no gradients, so it explains exactly the quantized graph that answers. Its readings go
through the same batches as everybody's texts.
"""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np

from services.inference.loading import LoadedModel
from services.inference.offsets import converter
from services.inference.pipeline import Pipeline, Texts
from services.inference.prediction import Encoded, Explanation, Prediction, Reading, Timings, WordAttribution
from services.inference.queries import ExplainQuery
from services.inference.tasks.classification import TASKS, Row
from services.inference.tasks.words import Word, words_of
from services.inference.validation import INPUT, check_between, check_top_k
from services.platform.failures import Failure, InvalidInput

MAX_EVALUATIONS = 256


async def explain(pipeline: Pipeline, query: ExplainQuery) -> Prediction[Explanation]:
    """The words' contributions; one outcome. A bad text fails the call. Of a pair the first text's words are explained."""
    begun = time.perf_counter()
    _check(query)
    with pipeline.model(query, TASKS) as model:
        label = _label(model, query)
        model.lane.admit(1, query.options.priority)
        (reading,) = await pipeline.read(model, Texts([query.text], INPUT, spans=True), query.options)
        if not isinstance(reading, Reading):
            raise reading if isinstance(reading, Failure) else AssertionError("readings with spans are not remembered")
        groups = _groups(words_of(reading, query.text.text), query.evaluations)
        without = _without(reading, groups, model.manifest.pad_token_id)
        tokenized = time.perf_counter()
        computed = await pipeline.compute(model, [reading.windows[0], *without], query)
        whole, *others = computed.rows
        explained = int(whole[1].argmax()) if label is None else label
        words = _attributions(query, groups, whole, others, explained)
        ended = time.perf_counter()
        explanation = Explanation(
            reading.token_count,
            reading.truncated,
            len(reading.windows),
            model.manifest.labels[explained],
            float(whole[1][explained]),
            words,
            len(computed.rows),
        )
        timings = Timings(tokenized - begun, computed.queue_s, computed.inference_s, ended - begun)
        model.statistics.answered(timings)
        return Prediction([explanation], model.served, timings)


def _check(query: ExplainQuery) -> None:
    check_top_k(query.top_k)
    check_between(query.evaluations, 1, MAX_EVALUATIONS, "max_evaluations")
    if query.options.windows is not None:
        raise InvalidInput("what is explained is one reading of the text", "options.windows", "WINDOWS_NOT_TAKEN")


def _label(model: LoadedModel, query: ExplainQuery) -> int | None:
    if query.label is None:
        return None
    if query.label not in model.manifest.labels:
        raise InvalidInput("the model has no such label", "label", "UNKNOWN_LABEL")
    return model.manifest.labels.index(query.label)


def _groups(words: list[Word], most: int) -> list[list[Word]]:
    """At most `most` groups of neighbouring words, of nearly equal size."""
    count = min(len(words), most)
    bounds = [len(words) * number // count for number in range(count + 1)] if count else [0]
    return [words[begin:end] for begin, end in pairwise(bounds)]


def _without(reading: Reading, groups: list[list[Word]], pad: int) -> list[Encoded]:
    """The text without the tokens of each group of words; special tokens, and the second text of a pair, stay.

    Where nothing stays, since the tokenizer sets no special tokens, one of padding stands for the empty text.
    """
    assert reading.spans is not None
    ids, types = reading.windows[0].input_ids, reading.windows[0].token_type_ids
    starts, ends = np.array([span or (-1, -1) for span in reading.spans[0]], np.int64).T
    kept = [(ends <= group[0].start) | (starts >= group[-1].end) for group in groups]
    nothing = Encoded(np.array([pad], np.int64))
    return [Encoded(ids[mask], None if types is None else types[mask]) if mask.any() else nothing for mask in kept]


def _attributions(
    query: ExplainQuery, groups: list[list[Word]], whole: Row, others: list[Row], label: int
) -> list[WordAttribution]:
    convert = converter(query.text.text, query.unit)
    words = [
        WordAttribution(
            query.text.text[group[0].start : group[-1].end],
            *convert((group[0].start, group[-1].end)),
            float(whole[1][label] - row[1][label]),
            float(whole[0][label] - row[0][label]),
        )
        for group, row in zip(groups, others, strict=True)
    ]
    if query.top_k is None:
        return words
    return sorted(words, key=lambda word: -abs(word.contribution))[: query.top_k]
