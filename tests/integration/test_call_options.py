"""What every call can set, on a real server: truncation, windows, priority, thresholds, the response cache; and misuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from bertline.inference.v1 import inference_pb2 as pb
from bertline.inference.v1 import inference_pb2_grpc
from google.protobuf.message import Message

from tests.fakes.failed_calls import failed, failure

Stub = inference_pb2_grpc.InferenceServiceStub
TIMEOUT = 10.0
INVALID = "INVALID_ARGUMENT"

REQUESTS: dict[str, tuple[Callable[..., Message], dict[str, Any]]] = {
    "Classify": (pb.ClassifyRequest, {"model": {"name": "tiny"}, "inputs": [{"text": "bank"}]}),
    "Embed": (pb.EmbedRequest, {"model": {"name": "vectors"}, "inputs": [{"text": "bank"}]}),
    "Score": (pb.ScoreRequest, {"model": {"name": "ranker"}, "query": "bank", "candidates": ["rate"]}),
    "Tag": (pb.TagRequest, {"model": {"name": "tagger"}, "inputs": [{"text": "bank"}]}),
    "Explain": (pb.ExplainRequest, {"model": {"name": "tiny"}, "input": {"text": "bank"}}),
}
RPCS = list(REQUESTS)


def call(tasks: Stub, rpc: str, **fields: Any) -> Any:
    kind, usual = REQUESTS[rpc]
    return getattr(tasks, rpc)(kind(**{**usual, **fields}), timeout=TIMEOUT)


def classify(tasks: Stub, text: str, options: pb.CallOptions | None = None, **fields: Any) -> pb.Classification:
    reply = call(tasks, "Classify", inputs=[{"text": text}], options=options or pb.CallOptions(), **fields)
    result: pb.Classification = reply.results[0].classification
    return result


@pytest.mark.parametrize("rpc", RPCS)
def test_a_model_of_another_task_does_not_answer(tasks: Stub, rpc: str) -> None:
    other = "tagger" if rpc != "Tag" else "tiny"
    refused = failure(lambda: call(tasks, rpc, model={"name": other}))
    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "TASK_NOT_SERVED")
    assert repr(other) in refused.message


@pytest.mark.parametrize("rpc", RPCS)
def test_an_unknown_model_is_not_found(tasks: Stub, rpc: str) -> None:
    assert failure(lambda: call(tasks, rpc, model={"name": "nope"})).reason == "MODEL_NOT_FOUND"
    assert failure(lambda: call(tasks, rpc, model={"name": "No Name"})).reason == "MALFORMED_NAME"


@pytest.mark.parametrize("rpc", RPCS)
@pytest.mark.parametrize(
    ("options", "reason", "field"),
    [
        (pb.CallOptions(truncation=9), "OUT_OF_RANGE", "options.truncation"),  # type: ignore[arg-type]
        (pb.CallOptions(priority=-3), "OUT_OF_RANGE", "options.priority"),  # type: ignore[arg-type]
        (pb.CallOptions(routing_key="x" * 257), "ROUTING_KEY_TOO_LONG", "options.routing_key"),
    ],
)
def test_options_out_of_range_are_refused_by_every_call(
    tasks: Stub, rpc: str, options: pb.CallOptions, reason: str, field: str
) -> None:
    refused = failure(lambda: call(tasks, rpc, options=options))
    assert (refused.code, refused.reason, refused.field) == (INVALID, reason, field)


@pytest.mark.parametrize("rpc", [rpc for rpc in RPCS if rpc != "Explain"])
@pytest.mark.parametrize(
    ("windows", "field"),
    [
        (pb.Windows(overlap_tokens=-1), "options.windows.overlap_tokens"),
        (pb.Windows(overlap_tokens=16), "options.windows.overlap_tokens"),
        (pb.Windows(overlap_tokens=2**31 - 1), "options.windows.overlap_tokens"),
        (pb.Windows(max_windows=-1), "options.windows.max_windows"),
        (pb.Windows(max_windows=65), "options.windows.max_windows"),
        (pb.Windows(combination=7), "options.windows.combination"),  # type: ignore[arg-type]
    ],
)
def test_windows_out_of_range_are_refused(tasks: Stub, rpc: str, windows: pb.Windows, field: str) -> None:
    refused = failure(lambda: call(tasks, rpc, options=pb.CallOptions(windows=windows)))
    assert (refused.code, refused.reason, refused.field) == (INVALID, "OUT_OF_RANGE", field)


@pytest.mark.parametrize("truncation", [pb.TRUNCATION_LEFT, pb.TRUNCATION_ERROR])
def test_windows_and_truncation_contradict_each_other(tasks: Stub, truncation: pb.Truncation.ValueType) -> None:
    options = pb.CallOptions(windows=pb.Windows(), truncation=truncation)
    assert failure(lambda: classify(tasks, "bank", options)).reason == "WINDOWS_CUT_NOTHING"


@pytest.mark.parametrize("rpc", ["Embed", "Tag"])
def test_units_and_formats_out_of_range_are_refused(tasks: Stub, rpc: str) -> None:
    field = {"Embed": "format", "Tag": "offset_unit"}[rpc]
    refused = failure(lambda: call(tasks, rpc, **{field: 99}))
    assert (refused.reason, refused.field) == ("OUT_OF_RANGE", field)


@pytest.mark.parametrize("rpc", ["Classify", "Score", "Tag"])
@pytest.mark.parametrize("threshold", [float("nan"), float("-inf"), 1.01])
def test_a_threshold_that_is_no_probability_is_refused(tasks: Stub, rpc: str, threshold: float) -> None:
    refused = failure(lambda: call(tasks, rpc, threshold=threshold))
    assert (refused.reason, refused.field) == ("OUT_OF_RANGE", "threshold")


def test_left_keeps_the_end_and_right_the_beginning(tasks: Stub) -> None:
    text = "bank " * 40 + "goal " * 40
    right, left = (classify(tasks, text, pb.CallOptions(truncation=side)) for side in (1, 2))  # type: ignore[arg-type]
    assert (right.labels[0].label, right.truncated, right.token_count) == ("business", True, 32)
    assert (left.labels[0].label, left.truncated, left.token_count) == ("sports", True, 32)


def test_a_text_that_may_not_be_cut_fails_alone(tasks: Stub) -> None:
    options = pb.CallOptions(truncation=pb.TRUNCATION_ERROR)
    reply = call(tasks, "Classify", inputs=[{"text": "goal " * 31}, {"text": "goal " * 30}], options=options)
    error = failed(reply.results[0].error)
    assert (error.reason, error.field) == ("TOO_MANY_TOKENS", "inputs[0].text")
    assert reply.results[1].classification.token_count == 32


def test_windows_read_what_would_be_cut(tasks: Stub) -> None:
    text = "bank " * 31 + "goal " * 90
    assert classify(tasks, text).labels[0].label == "business"
    mean = classify(tasks, text, pb.CallOptions(windows=pb.Windows(overlap_tokens=0)))
    assert (mean.labels[0].label, mean.window_count, mean.truncated) == ("sports", 5, False)
    assert mean.token_count == 121 + 2 * 5


def test_more_windows_than_allowed_are_an_error_of_the_text(tasks: Stub) -> None:
    options = pb.CallOptions(windows=pb.Windows(max_windows=2))
    reply = call(tasks, "Classify", inputs=[{"text": "goal " * 99}, {"text": "goal"}], options=options)
    assert failed(reply.results[0].error).reason == "TOO_MANY_TOKENS"
    assert reply.results[1].classification.window_count == 1


@pytest.mark.parametrize("priority", pb.Priority.values())
def test_every_priority_is_answered(tasks: Stub, priority: pb.Priority.ValueType) -> None:
    assert classify(tasks, f"bank {priority}", pb.CallOptions(priority=priority)).labels[0].label == "business"


def test_raw_scores_come_with_every_label_when_asked_for(tasks: Stub) -> None:
    labels = classify(tasks, "bank rate", top_k=0, raw_scores=True).labels
    assert [label.raw_score for label in labels] == sorted((label.raw_score for label in labels), reverse=True)
    assert all(label.HasField("raw_score") for label in labels)
    assert not classify(tasks, "bank rate").labels[0].HasField("raw_score")


def test_a_threshold_leaves_labels_out_also_the_last(tasks: Stub) -> None:
    text = "bank bank goal goal"
    best = classify(tasks, text, top_k=0).labels
    assert len(classify(tasks, text, top_k=0, threshold=best[0].probability).labels) < len(best)
    assert not classify(tasks, text, threshold=1.0).labels
    assert len(classify(tasks, text, top_k=99).labels) == 3


def test_a_text_seen_before_comes_from_the_cache_with_the_labels_asked_for_now(tasks: Stub) -> None:
    text = "a bank that nobody asked about before"
    first = classify(tasks, text)
    assert (first.cached, len(first.labels)) == (False, 1)
    again = classify(tasks, text, top_k=0, raw_scores=True)
    assert (again.cached, len(again.labels)) == (True, 3)
    assert again.labels[0].probability == first.labels[0].probability
    assert (again.token_count, again.window_count) == (first.token_count, first.window_count)
    assert classify(tasks, text, pb.CallOptions(priority=pb.PRIORITY_LOW)).cached
    assert not classify(tasks, text, pb.CallOptions(truncation=pb.TRUNCATION_LEFT)).cached
    assert not classify(tasks, text, pb.CallOptions(windows=pb.Windows())).cached


def test_a_vector_seen_before_comes_from_the_cache_in_another_format(tasks: Stub) -> None:
    fields = {"inputs": [{"text": "a rate that nobody asked about before"}]}
    first = call(tasks, "Embed", **fields).results[0].embedding
    again = call(tasks, "Embed", **fields, format=pb.EMBEDDING_FORMAT_INT8, dimensions=3).results[0].embedding
    assert (first.cached, again.cached) == (False, True)
    assert len(again.int8.values) == 3


def test_texts_from_the_cache_and_new_ones_keep_their_places(tasks: Stub) -> None:
    classify(tasks, "bank of old")
    sent = ["goal of new", "bank of old", "", "robot of new", "bank of old"]
    reply = call(tasks, "Classify", inputs=[{"text": text} for text in sent])
    outcomes = [
        (each.classification.labels[0].label, each.classification.cached) if each.HasField("classification") else None
        for each in reply.results
    ]
    assert outcomes == [("sports", False), ("business", True), None, ("technology", False), ("business", True)]
