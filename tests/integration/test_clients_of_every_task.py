"""Both typed clients with a real server and a model of every task."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.clients import (
    AsyncInferenceClient,
    CallFailed,
    Classified,
    Embedded,
    InferenceClient,
    InvalidRequest,
    ItemError,
    Options,
    Scored,
    Tagged,
    Unscored,
    Windows,
)

CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("classify", (["bank rate", "", "球队"],), {"model": "tiny", "top_k": 0, "raw_scores": True}),
    ("embed", (["bank rate", "", "球队"],), {"model": "vectors", "dimensions": 4, "vector_format": "int8"}),
    ("score", ("bank rate", ["rate", "", "bank rate"]), {"model": "ranker", "raw_scores": True}),
    ("regress", (["bank rate", "", "球队"],), {"model": "stars"}),
    ("tag", (["Ada Lovelace in 北京", ""],), {"model": "tagger", "include_words": True, "offset_unit": "utf8"}),
    ("explain", ("the bank and the goal",), {"model": "tiny", "target": "sports", "top_k": 2}),
]


def compared(reply: Any) -> Any:
    """All of a reply but what differs from call to call."""
    kept = {
        name: getattr(reply, name)
        for name in type(reply).__dataclass_fields__
        if name not in {"timings", "correlation_id"}
    }
    for result in kept.get("results", []):
        if hasattr(result, "cached"):
            object.__setattr__(result, "cached", False)
    return kept


@pytest.mark.parametrize(("name", "arguments", "options"), CALLS)
async def test_both_clients_give_the_same_reply(
    server_of_every_task: str, name: str, arguments: tuple[Any, ...], options: dict[str, Any]
) -> None:
    with InferenceClient(server_of_every_task) as client:
        reply = getattr(client, name)(*arguments, **options)
    async with AsyncInferenceClient(server_of_every_task) as other:
        assert compared(await getattr(other, name)(*arguments, **options)) == compared(reply)
    assert reply.timings.total_ms > 0
    assert reply.correlation_id


def test_vectors_are_lists_and_a_bad_text_is_a_value(server_of_every_task: str) -> None:
    with InferenceClient(server_of_every_task) as client:
        first, second = client.embed(["bank", ""], model="vectors").results
        (packed,) = client.embed(["bank"], model="vectors", vector_format="int8").results
    assert isinstance(first, Embedded)
    assert isinstance(packed, Embedded)
    assert sum(value * value for value in first.vector) == pytest.approx(1.0, abs=1e-5)
    assert packed.vector == pytest.approx(first.vector, abs=0.01)
    assert isinstance(second, ItemError)
    assert second.details.reason == "TEXT_EMPTY"


def test_candidates_come_best_first_and_say_which_they_are(server_of_every_task: str) -> None:
    with InferenceClient(server_of_every_task) as client:
        reply = client.score("bank rate", ["goal", "", "bank rate"], model="ranker", raw_scores=True)
        with pytest.raises(InvalidRequest) as caught:
            client.score("", ["goal"], model="ranker")
    first, second, third = reply.results
    assert isinstance(first, Scored) and isinstance(second, Scored) and isinstance(third, Unscored)
    assert ([first.index, second.index, third.index], first.raw_score) == ([2, 0, 1], 1.0)
    assert caught.value.details.violations == {"query": "the text is empty"}


def test_entities_slice_the_text(server_of_every_task: str) -> None:
    text = "👩‍👩‍👧 Ada Lovelace 在 北京"
    with InferenceClient(server_of_every_task) as client:
        (result,) = client.tag([text], model="tagger").results
    assert isinstance(result, Tagged)
    assert [(e.label, text[e.start : e.end]) for e in result.entities] == [("PER", "Ada Lovelace"), ("LOC", "北京")]
    assert all(text[e.start : e.end] == e.text for e in result.entities)


def test_an_explanation_names_the_word(server_of_every_task: str) -> None:
    with InferenceClient(server_of_every_task) as client:
        reply = client.explain("the bank saw it rain", model="tiny", top_k=1)
    assert (reply.label, len(reply.words)) == ("business", 1)
    assert reply.words[0].text == "bank"


def test_options_reach_the_server(server_of_every_task: str) -> None:
    text = "bank " * 40 + "goal " * 90
    with InferenceClient(server_of_every_task) as client:
        cut = client.classify([text], model="tiny").results[0]
        left = client.classify([text], model="tiny", options=Options("left", priority="high")).results[0]
        read = client.classify([text], model="tiny", options=Options(windows=Windows(0))).results[0]
        refused = client.classify([text], model="tiny", options=Options("error")).results[0]
        nothing = client.classify(["bank goal"], model="tiny", threshold=1.0).results[0]
    assert isinstance(cut, Classified) and isinstance(left, Classified) and isinstance(read, Classified)
    assert [each.best.name for each in (cut, left, read)] == ["business", "sports", "sports"]
    assert (cut.truncated, read.truncated, read.window_count) == (True, False, 5)
    assert isinstance(refused, ItemError)
    assert refused.details.reason == "TOO_MANY_TOKENS"
    assert isinstance(nothing, Classified)
    assert nothing.labels == []


def test_another_task_is_a_failed_call(server_of_every_task: str) -> None:
    with InferenceClient(server_of_every_task) as client, pytest.raises(CallFailed) as caught:
        client.embed(["bank"], model="tiny")
    assert (caught.value.details.code, caught.value.details.reason) == ("FAILED_PRECONDITION", "TASK_NOT_SERVED")


WORDS = {"bank": "business", "球队": "sports", "robot": "technology"}


async def test_thousands_of_texts_come_back_in_order_from_both_clients(server_of_every_task: str) -> None:
    words = [list(WORDS)[n % 3] for n in range(3_000)]
    wanted = [WORDS[word] for word in words]
    with InferenceClient(server_of_every_task) as client:
        results = list(client.classify_stream(iter(words), model="tiny", options=Options(priority="low")))
    assert [each.best.name for each in results if isinstance(each, Classified)] == wanted

    async def source() -> AsyncIterator[str]:
        for word in words:
            yield word

    async with AsyncInferenceClient(server_of_every_task) as other:
        received = [each async for each in other.classify_stream(source(), model="tiny")]
    assert [each.best.name for each in received if isinstance(each, Classified)] == wanted


def test_a_bad_text_in_bulk_is_a_value(server_of_every_task: str) -> None:
    with InferenceClient(server_of_every_task) as client:
        first, second, third = client.classify_stream(["bank", "", "球队"], model="tiny")
    assert isinstance(first, Classified) and isinstance(third, Classified)
    assert isinstance(second, ItemError)
