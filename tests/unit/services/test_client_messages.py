from __future__ import annotations

import pytest
from bertline.inference.v1 import inference_pb2 as pb
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from services.clients import Classified, ItemError
from services.clients.calls import CallOptions
from services.clients.classification_messages import classify_reply, classify_request


def test_texts_and_pairs_of_any_script_become_inputs_in_order() -> None:
    request = classify_request(["Shares rallied", ("question", "答案")], "news", None, None, 1)
    assert [each.text for each in request.inputs] == ["Shares rallied", "question"]
    assert [each.HasField("text_pair") for each in request.inputs] == [False, True]
    assert request.inputs[1].text_pair == "答案"


def test_version_and_label_choose_and_nothing_means_the_servers_choice() -> None:
    assert classify_request(["a"], "news", 3, None, 1).model == pb.ModelSelector(name="news", version=3)
    assert classify_request(["a"], "news", None, "canary", 1).model == pb.ModelSelector(name="news", label="canary")
    assert classify_request(["a"], "news", None, None, 1).model.WhichOneof("selection") is None


def test_version_and_label_together_are_refused() -> None:
    with pytest.raises(ValueError, match="not both"):
        classify_request(["a"], "news", 1, "stable", 1)


@pytest.mark.parametrize("top_k", [1, 5, 0])
def test_top_k_is_sent_as_given(top_k: int) -> None:
    assert classify_request(["a"], "", None, None, top_k).top_k == top_k


def test_without_top_k_the_model_decides() -> None:
    assert not classify_request(["a"], "", None, None, None).HasField("top_k")


def test_a_lone_text_is_refused_rather_than_classified_letter_by_letter() -> None:
    with pytest.raises(TypeError, match=r"\[text\]"):
        classify_request("Shares rallied", "news", None, None, 1)


@pytest.mark.parametrize("bad", ["\ud800", ("fine", "\udfff")])
def test_a_text_that_is_no_unicode_is_refused_with_its_position(bad: str | tuple[str, str]) -> None:
    with pytest.raises(ValueError, match=r"texts\[1\]"):
        classify_request(["fine", bad], "news", None, None, 1)


def test_a_reply_keeps_the_order_of_labels_and_of_item_errors() -> None:
    info = any_pb2.Any()
    info.Pack(error_details_pb2.ErrorInfo(reason="TEXT_EMPTY", domain="bertline"))
    scores = [pb.LabelScore(label="体育", probability=0.75), pb.LabelScore(label="财经", probability=0.25)]
    response = pb.ClassifyResponse(
        results=[
            pb.ClassifyResult(error=status_pb2.Status(code=3, message="the text is empty", details=[info])),
            pb.ClassifyResult(classification=pb.Classification(labels=scores, token_count=9, truncated=True)),
        ],
        model=pb.ModelInfo(name="news", version=2, variant="int8-static"),
        timings=pb.Timings(tokenization_us=1500, queue_us=250, inference_us=4000, total_us=6000),
    )
    reply = classify_reply(response, "trace-1")
    failed, classified = reply.results
    assert isinstance(failed, ItemError)
    assert (failed.details.code, failed.details.reason) == ("INVALID_ARGUMENT", "TEXT_EMPTY")
    assert isinstance(classified, Classified)
    assert [(label.name, label.probability) for label in classified.labels] == [("体育", 0.75), ("财经", 0.25)]
    assert classified.best.name == "体育"
    assert (classified.token_count, classified.truncated) == (9, True)
    assert (reply.model, reply.version, reply.variant) == ("news", 2, "int8-static")
    assert (reply.timings.tokenization_ms, reply.timings.queue_ms) == (1.5, 0.25)
    assert (reply.timings.inference_ms, reply.timings.total_ms) == (4.0, 6.0)
    assert reply.correlation_id == "trace-1"


@pytest.mark.parametrize("timeout_s", [0.0, -1.0, float("nan")])
def test_a_timeout_must_be_positive(timeout_s: float) -> None:
    with pytest.raises(ValueError, match="timeout_s"):
        CallOptions(timeout_s)
    with pytest.raises(ValueError, match="timeout_s"):
        CallOptions(1.0).for_call(timeout_s, None)


@pytest.mark.parametrize("word", ["two words", "中文", "line\nbreak", "x" * 129])
def test_a_correlation_id_that_the_server_would_replace_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="correlation_id"):
        CallOptions(1.0).for_call(None, word)


def test_a_call_takes_its_own_options_then_the_clients_then_a_new_correlation_id() -> None:
    client = CallOptions(2.0, "client-1")
    assert client.for_call(5.0, "call-1") == CallOptions(5.0, "call-1")
    assert client.for_call(None, None) == client
    first, second = (CallOptions(2.0).for_call(None, None).correlation_id for _ in range(2))
    assert first != second
    assert first
