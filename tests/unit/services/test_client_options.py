from __future__ import annotations

import pytest
from bertline.inference.v1 import inference_pb2 as pb

from services.clients import Options, Windows
from services.clients.embedding_messages import embed_reply, embed_request
from services.clients.explanation_messages import explain_request
from services.clients.options import to_options
from services.clients.scoring_messages import score_request
from services.clients.tagging_messages import tag_request


def test_no_options_leave_the_servers_defaults() -> None:
    assert to_options(None) is None
    assert not embed_request(["a"], "vectors", None, None, None, "float32", False, None).HasField("options")


def test_every_option_has_its_place_in_the_request() -> None:
    options = Options("left", priority="low", routing_key="user-1")
    assert to_options(options) == pb.CallOptions(
        truncation=pb.TRUNCATION_LEFT, priority=pb.PRIORITY_LOW, routing_key="user-1"
    )
    windows = to_options(Options(windows=Windows(0, "max", 5)))
    assert windows is not None
    assert windows.windows == pb.Windows(overlap_tokens=0, combination=pb.WINDOW_COMBINATION_MAX, max_windows=5)
    assert windows.truncation == pb.TRUNCATION_UNSPECIFIED
    unset = to_options(Options(windows=Windows()))
    assert unset is not None
    assert not unset.windows.HasField("overlap_tokens")


def test_windows_and_truncation_contradict_each_other() -> None:
    with pytest.raises(ValueError, match="windows read the whole text"):
        to_options(Options("error", Windows()))


def test_unset_arguments_stay_unset() -> None:
    score = score_request("q", ["a"], "ranker", None, None, None, None, False, None)
    assert not score.HasField("top_k") and not score.HasField("threshold")
    explain = explain_request("a", "tiny", None, None, None, None, None, "code_point", None)
    assert not explain.HasField("label") and not explain.HasField("max_evaluations")
    assert not tag_request(["a"], "tagger", None, None, None, False, "utf16", None).HasField("threshold")


def test_a_lone_candidate_is_refused_rather_than_scored_letter_by_letter() -> None:
    with pytest.raises(TypeError, match=r"\[candidate\]"):
        score_request("q", "candidate", "ranker", None, None, None, None, False, None)


def test_a_query_that_is_no_unicode_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="query is no valid Unicode"):
        score_request("\ud800", ["a"], "ranker", None, None, None, None, False, None)
    with pytest.raises(ValueError, match=r"candidates\[1\] is no valid Unicode"):
        score_request("q", ["a", "\ud800"], "ranker", None, None, None, None, False, None)


def test_signed_bytes_become_numbers() -> None:
    packed = pb.Embedding(int8=pb.Int8Vector(values=b"\x7f\x81\x00", scale=0.5), token_count=3)
    reply = embed_reply(pb.EmbedResponse(results=[pb.EmbedResult(embedding=packed)]), "trace-1")
    result = reply.results[0]
    assert getattr(result, "vector", None) == [63.5, -63.5, 0.0]
    assert getattr(result, "packed", None) == b"\x7f\x81\x00"
