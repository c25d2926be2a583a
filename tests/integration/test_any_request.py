"""Whatever is sent to whichever RPC, the answer is one, or a status with its reason; and the server goes on."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from bertline.inference.v1 import inference_pb2 as pb
from bertline.inference.v1 import inference_pb2_grpc
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fakes.failed_calls import failed, status_of

Stub = inference_pb2_grpc.InferenceServiceStub
TIMEOUT = 20.0
MODELS = {"tiny", "pairs", "vectors", "ranker", "stars", "tagger"}
REFUSALS = {"NOT_FOUND", "INVALID_ARGUMENT", "FAILED_PRECONDITION"}

words = st.sampled_from(
    ["bank", "球队", "Ada Lovelace", "北京", "👩‍👩‍👧", "[SEP]", "\u200b", "\x00", "ﷺ", "e\u0301", " "]
)
texts = st.lists(words | st.text(st.characters(codec="utf-8"), max_size=30), max_size=8).map(" ".join)
texts |= st.builds(lambda word, times: word * times, words, st.integers(0, 400))
inputs = st.lists(st.builds(pb.TextInput, text=texts, text_pair=st.none() | texts), max_size=5)
int32 = st.integers(-2, 40) | st.sampled_from([-(2**31), 2**31 - 1])
number = st.floats(width=32) | st.floats(0, 1, width=32)
selector = st.builds(
    pb.ModelSelector, name=st.sampled_from([*sorted(MODELS), ""]) | st.text(st.characters(codec="utf-8"), max_size=4)
)
selector |= st.builds(pb.ModelSelector, name=st.just("tiny"), version=st.integers(-(2**63), 2**63 - 1))
windows = st.builds(
    pb.Windows, overlap_tokens=st.none() | int32, combination=st.integers(0, 3), max_windows=st.just(0) | int32
)
options = st.builds(
    pb.CallOptions,
    truncation=st.integers(0, 4),
    windows=st.none() | windows,
    priority=st.integers(0, 4),
    routing_key=st.text(st.characters(codec="utf-8"), max_size=4),
)
common: dict[str, Any] = {"options": st.none() | options}
REQUESTS: dict[str, st.SearchStrategy[Message]] = {
    "Classify": st.builds(
        pb.ClassifyRequest,
        model=selector | st.just(pb.ModelSelector(name="tiny")),
        inputs=inputs,
        top_k=st.none() | int32,
        threshold=st.none() | number,
        raw_scores=st.booleans(),
        **common,
    ),
    "Embed": st.builds(
        pb.EmbedRequest,
        model=selector | st.just(pb.ModelSelector(name="vectors")),
        inputs=inputs,
        dimensions=st.none() | int32,
        format=st.integers(0, 3),
        raw_vectors=st.booleans(),
        **common,
    ),
    "Score": st.builds(
        pb.ScoreRequest,
        model=selector | st.sampled_from([pb.ModelSelector(name=name) for name in ("ranker", "vectors")]),
        query=texts,
        candidates=st.lists(texts, max_size=5),
        top_k=st.none() | int32,
        threshold=st.none() | number,
        raw_scores=st.booleans(),
        **common,
    ),
    "Regress": st.builds(
        pb.RegressRequest,
        model=selector | st.just(pb.ModelSelector(name="stars")),
        inputs=inputs,
        **common,
    ),
    "Tag": st.builds(
        pb.TagRequest,
        model=selector | st.just(pb.ModelSelector(name="tagger")),
        inputs=inputs,
        threshold=st.none() | number,
        include_words=st.booleans(),
        offset_unit=st.integers(0, 4),
        **common,
    ),
    "Explain": st.builds(
        pb.ExplainRequest,
        model=selector | st.just(pb.ModelSelector(name="tiny")),
        input=st.none() | st.builds(pb.TextInput, text=texts, text_pair=st.none() | texts),
        label=st.none() | st.sampled_from(["business", "sports", "nope"]),
        max_evaluations=st.none() | int32,
        top_k=st.none() | int32,
        offset_unit=st.integers(0, 4),
        **common,
    ),
}
ITEMS = {"Classify": "classification", "Embed": "embedding", "Score": "score", "Regress": "regression", "Tag": "tags"}


@pytest.mark.parametrize("rpc", REQUESTS)
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_request_gets_an_answer_or_a_proper_status(tasks: Stub, rpc: str, data: st.DataObject) -> None:
    request: Any = data.draw(REQUESTS[rpc])
    try:
        reply = getattr(tasks, rpc)(request, timeout=TIMEOUT)
    except grpc.RpcError as error:
        assert failed(status_of(error)).code in REFUSALS
        return
    assert reply.model.name in MODELS
    if rpc == "Explain":
        assert 1 <= reply.evaluation_count <= 257
        return
    sent = len(request.candidates if rpc == "Score" else request.inputs)
    assert len(reply.results) <= sent if rpc == "Score" else len(reply.results) == sent
    for result in reply.results:
        if result.WhichOneof("outcome") == "error":
            assert failed(result.error).code == "INVALID_ARGUMENT"
        else:
            assert result.WhichOneof("outcome") == ITEMS[rpc]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.text(st.characters(codec="utf-8"), max_size=300), REQUESTS["Classify"]), max_size=12))
def test_every_request_of_any_stream_is_answered_in_its_place(tasks: Stub, sent: list[tuple[str, Any]]) -> None:
    requests = [pb.StreamClassifyRequest(id=name, request=request) for name, request in sent]
    received = list(tasks.StreamClassify(iter(requests), timeout=TIMEOUT))
    assert [each.id for each in received] == [name for name, _ in sent]
    for each in received:
        if each.WhichOneof("outcome") == "error":
            assert failed(each.error).code in REFUSALS
        else:
            assert each.WhichOneof("outcome") == "response"


@pytest.mark.parametrize("rpc", REQUESTS)
@settings(max_examples=30, deadline=None)
@given(junk=st.binary(max_size=200))
def test_bytes_that_are_no_request_end_the_call_and_not_the_server(
    server_of_every_task: str, tasks: Stub, rpc: str, junk: bytes
) -> None:
    with grpc.insecure_channel(server_of_every_task) as channel:
        raw = channel.unary_unary(f"/bertline.inference.v1.InferenceService/{rpc}")
        try:
            raw(junk, timeout=TIMEOUT)
        except grpc.RpcError as error:
            assert failed(status_of(error)).code in REFUSALS
