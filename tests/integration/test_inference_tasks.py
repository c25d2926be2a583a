"""Embed, Score and Tag on a real server with real models, through the generated stubs."""

from __future__ import annotations

import numpy as np
import pytest
from bertline.inference.v1 import inference_pb2 as pb
from bertline.inference.v1 import inference_pb2_grpc

from tests.fakes.failed_calls import failed, failure
from tests.fakes.tiny_graphs import WIDTH

Stub = inference_pb2_grpc.InferenceServiceStub
TIMEOUT = 10.0
WINDOWS = pb.CallOptions(windows=pb.Windows())
NO_CUT = pb.CallOptions(truncation=pb.TRUNCATION_ERROR)
INVALID = "INVALID_ARGUMENT"


def inputs(*texts: str) -> list[pb.TextInput]:
    return [pb.TextInput(text=text) for text in texts]


def model(name: str) -> pb.ModelSelector:
    return pb.ModelSelector(name=name)


# ---- Embed


def embed(tasks: Stub, *texts: str, **options: object) -> list[np.ndarray]:
    request = pb.EmbedRequest(model=model("vectors"), inputs=inputs(*texts), **options)  # type: ignore[arg-type]
    results = tasks.Embed(request, timeout=TIMEOUT).results
    return [np.array(result.embedding.float32.values, np.float32) for result in results]


def test_vectors_have_length_one_and_near_texts_are_near(tasks: Stub) -> None:
    bank, market, team = embed(tasks, "the bank rate", "market profit shares", "球队 coach season")
    assert all(vector.shape == (WIDTH,) for vector in (bank, market, team))
    assert np.linalg.norm(bank) == pytest.approx(1.0, abs=1e-5)
    assert bank @ market > bank @ team


def test_a_text_gets_the_same_vector_alone_and_in_company(tasks: Stub) -> None:
    alone = embed(tasks, "the bank rate 1")[0]
    among = embed(tasks, "goal " * 20, "the bank rate 1", "芯片")[1]
    assert np.allclose(alone, among, atol=1e-6)


def test_dimensions_cut_and_normalise_anew_and_raw_vectors_are_left_as_they_are(tasks: Stub) -> None:
    whole, cut = embed(tasks, "bank goal")[0], embed(tasks, "bank goal", dimensions=3)[0]
    raw = embed(tasks, "bank goal", raw_vectors=True)[0]
    assert cut.shape == (3,)
    assert np.linalg.norm(cut) == pytest.approx(1.0, abs=1e-5)
    assert np.allclose(cut, whole[:3] / np.linalg.norm(whole[:3]), atol=1e-5)
    assert np.allclose(raw / np.linalg.norm(raw), whole, atol=1e-5)
    assert np.linalg.norm(raw) != pytest.approx(1.0, abs=1e-2)


def test_signed_bytes_times_their_scale_are_the_vector(tasks: Stub) -> None:
    request = pb.EmbedRequest(
        model=model("vectors"), inputs=inputs("bank 球队"), format=pb.EMBEDDING_FORMAT_INT8, dimensions=WIDTH
    )
    packed = tasks.Embed(request, timeout=TIMEOUT).results[0].embedding
    assert packed.WhichOneof("vector") == "int8"
    values = np.frombuffer(packed.int8.values, np.int8)
    assert np.allclose(values * packed.int8.scale, embed(tasks, "bank 球队")[0], atol=0.01)


def test_a_text_of_unknown_words_alone_has_a_vector_all_the_same(tasks: Stub) -> None:
    assert embed(tasks, "\u200b")[0].tolist() == [0.0] * WIDTH


@pytest.mark.parametrize("dimensions", [0, -1, WIDTH + 1, 2**31 - 1])
def test_dimensions_that_the_model_has_not_are_refused(tasks: Stub, dimensions: int) -> None:
    request = pb.EmbedRequest(model=model("vectors"), inputs=inputs("a"), dimensions=dimensions)
    refused = failure(lambda: tasks.Embed(request, timeout=TIMEOUT))
    assert (refused.code, refused.reason, refused.field) == (INVALID, "OUT_OF_RANGE", "dimensions")


def test_a_long_text_in_windows_has_the_mean_of_their_vectors(tasks: Stub) -> None:
    text = "bank " * 30 + "goal " * 30
    options = pb.CallOptions(windows=pb.Windows(overlap_tokens=0))
    request = pb.EmbedRequest(model=model("vectors"), inputs=inputs(text), raw_vectors=True, options=options)
    result = tasks.Embed(request, timeout=TIMEOUT).results[0].embedding
    bank, goal = (embed(tasks, word * 30, raw_vectors=True)[0] for word in ("bank ", "goal "))
    assert (result.window_count, result.token_count, result.truncated) == (2, 64, False)
    assert np.allclose(np.array(result.float32.values), (bank + goal) / 2, atol=1e-5)
    options.windows.combination = pb.WINDOW_COMBINATION_MAX
    request.options.CopyFrom(options)
    highest = tasks.Embed(request, timeout=TIMEOUT).results[0].embedding
    assert np.allclose(np.array(highest.float32.values), np.maximum(bank, goal), atol=1e-5)


# ---- Score


def score(tasks: Stub, query: str, *candidates: str, name: str = "ranker", **options: object) -> pb.ScoreResponse:
    request = pb.ScoreRequest(model=model(name), query=query, candidates=candidates, **options)  # type: ignore[arg-type]
    reply: pb.ScoreResponse = tasks.Score(request, timeout=TIMEOUT)
    return reply


@pytest.mark.parametrize("name", ["ranker", "vectors"])
def test_candidates_come_best_first(tasks: Stub, name: str) -> None:
    reply = score(tasks, "bank rate 球队", "robot chip", "球队 bank rate", "bank rate", name=name)
    assert [each.index for each in reply.results] == [1, 2, 0]
    scores = [each.score.score for each in reply.results]
    assert scores == sorted(scores, reverse=True)
    assert (reply.model.name, reply.model.version) == (name, 1)
    assert reply.timings.total_us >= reply.timings.inference_us > 0


def test_a_pairs_score_is_the_sigmoid_of_its_raw_score(tasks: Stub) -> None:
    first = score(tasks, "bank rate", "bank rate", raw_scores=True).results[0].score
    assert first.raw_score == pytest.approx(1.0)
    assert first.score == pytest.approx(1 / (1 + np.exp(-1.0)))
    assert first.token_count == 7
    assert not score(tasks, "bank rate", "bank rate").results[0].score.HasField("raw_score")
    assert not score(tasks, "bank", "bank", name="vectors", raw_scores=True).results[0].score.HasField("raw_score")


@pytest.mark.parametrize("name", ["ranker", "vectors"])
def test_a_bad_candidate_comes_last_with_its_error(tasks: Stub, name: str) -> None:
    results = score(tasks, "bank", "", "bank", "x" * 200_000, "goal", name=name, top_k=1).results
    assert [each.index for each in results] == [1, 0, 2]
    errors = [failed(each.error) for each in results[1:]]
    assert [(each.code, each.reason, each.field) for each in errors] == [
        (INVALID, "TEXT_EMPTY", "candidates[0]"),
        (INVALID, "TEXT_TOO_LONG", "candidates[2]"),
    ]


@pytest.mark.parametrize("name", ["ranker", "vectors"])
@pytest.mark.parametrize(
    ("query", "options", "reason"),
    [
        ("", pb.CallOptions(), "TEXT_EMPTY"),
        (" \n", pb.CallOptions(), "TEXT_EMPTY"),
        ("x" * 200_000, pb.CallOptions(), "TEXT_TOO_LONG"),
        ("bank " * 40, NO_CUT, "TOO_MANY_TOKENS"),
    ],
)
def test_a_bad_query_fails_the_call(tasks: Stub, name: str, query: str, options: pb.CallOptions, reason: str) -> None:
    refused = failure(lambda: score(tasks, query, "bank", "", name=name, options=options))
    assert (refused.code, refused.reason, refused.field) == (INVALID, reason, "query")


@pytest.mark.parametrize("name", ["ranker", "vectors"])
def test_a_cut_query_is_told_of_by_every_candidate(tasks: Stub, name: str) -> None:
    results = score(tasks, "bank " * 90, "bank", "goal", name=name).results
    assert all(each.score.truncated for each in results)


@pytest.mark.parametrize("name", ["ranker", "vectors"])
def test_no_candidates_are_refused_with_their_own_field(tasks: Stub, name: str) -> None:
    refused = failure(lambda: score(tasks, "bank", name=name))
    assert (refused.reason, refused.field) == ("NO_INPUTS", "candidates")
    refused = failure(lambda: score(tasks, "bank", *["goal"] * 257, name=name))
    assert (refused.reason, refused.field) == ("TOO_MANY_INPUTS", "candidates")
    assert len(score(tasks, "bank", *["goal"] * 256, name=name).results) == 256


def test_top_k_and_threshold_leave_candidates_out(tasks: Stub) -> None:
    candidates = ("bank rate", "bank", "goal")
    assert [each.index for each in score(tasks, "bank rate", *candidates, top_k=2).results] == [0, 1]
    assert len(score(tasks, "bank rate", *candidates, top_k=0).results) == 3
    limit = score(tasks, "bank rate", *candidates).results[1].score.score
    assert [each.index for each in score(tasks, "bank rate", *candidates, threshold=limit).results] == [0, 1]


@pytest.mark.parametrize("threshold", [float("nan"), float("inf"), 1.5, -1.5])
def test_a_threshold_that_is_no_score_is_refused(tasks: Stub, threshold: float) -> None:
    refused = failure(lambda: score(tasks, "bank", "goal", threshold=threshold))
    assert (refused.reason, refused.field) == ("OUT_OF_RANGE", "threshold")


def test_one_telling_window_of_a_long_candidate_can_decide(tasks: Stub) -> None:
    candidate = "goal " * 60 + "bank rate market"
    cut = score(tasks, "bank rate market", candidate, raw_scores=True).results[0].score
    options = pb.CallOptions(windows=pb.Windows(combination=pb.WINDOW_COMBINATION_MAX))
    read = score(tasks, "bank rate market", candidate, raw_scores=True, options=options).results[0].score
    assert (cut.raw_score, cut.truncated, cut.window_count) == (-3.0, True, 1)
    assert (read.raw_score, read.truncated) == (3.0, False)
    assert read.window_count > 2


# ---- Tag


def tag(tasks: Stub, *texts: str, **options: object) -> list[pb.TagResult]:
    request = pb.TagRequest(model=model("tagger"), inputs=inputs(*texts), **options)  # type: ignore[arg-type]
    return list(tasks.Tag(request, timeout=TIMEOUT).results)


def test_entities_carry_their_text_and_where_it_stands(tasks: Stub) -> None:
    first, second = tag(tasks, "Ada Lovelace left Paris for New York.", "王明在北京。")
    assert [(e.label, e.text, e.start, e.end) for e in first.tags.entities] == [
        ("PER", "Ada Lovelace", 0, 12),
        ("LOC", "Paris", 18, 23),
        ("LOC", "New York", 28, 36),
    ]
    assert [(e.label, e.text, e.start, e.end) for e in second.tags.entities] == [
        ("PER", "王明", 0, 2),
        ("LOC", "北京", 3, 5),
    ]
    assert all(0.9 < entity.probability <= 1.0 for entity in (*first.tags.entities, *second.tags.entities))


@pytest.mark.parametrize(
    ("unit", "codec", "width"),
    [
        (pb.OFFSET_UNIT_UNSPECIFIED, "utf-32-le", 4),
        (pb.OFFSET_UNIT_CODE_POINT, "utf-32-le", 4),
        (pb.OFFSET_UNIT_UTF16, "utf-16-le", 2),
        (pb.OFFSET_UNIT_UTF8, "utf-8", 1),
    ],
)
def test_offsets_slice_the_callers_own_string(tasks: Stub, unit: int, codec: str, width: int) -> None:
    text = "👩‍👩‍👧 naïve 王明 🚀 Paris"
    entities = tag(tasks, text, offset_unit=unit)[0].tags.entities
    assert [entity.text for entity in entities] == ["王明", "Paris"]
    sent = text.encode(codec)
    assert [sent[width * e.start : width * e.end].decode(codec) for e in entities] == ["王明", "Paris"]


def test_words_come_when_they_are_asked_for(tasks: Stub) -> None:
    assert not tag(tasks, "Ada left")[0].tags.words
    words = tag(tasks, "Ada left", include_words=True)[0].tags.words
    assert [(word.label, word.start, word.end) for word in words] == [("B-PER", 0, 3), ("O", 4, 8)]


def test_an_entity_behind_the_cut_is_found_in_windows(tasks: Stub) -> None:
    text = "bank " * 100 + "Ada Lovelace"
    cut, read = tag(tasks, text)[0].tags, tag(tasks, text, options=WINDOWS)[0].tags
    assert (len(cut.entities), cut.truncated) == (0, True)
    assert [entity.text for entity in read.entities] == ["Ada Lovelace"]
    assert (read.truncated, read.window_count > 3) == (False, True)
    left = tag(tasks, text, options=pb.CallOptions(truncation=pb.TRUNCATION_LEFT))[0].tags
    assert [(entity.start, entity.end) for entity in left.entities] == [(500, 512)]


def test_many_long_texts_are_tagged_in_order(tasks: Stub) -> None:
    results = tag(tasks, *(f"{'goal ' * 200}Paris {'rate ' * number}" for number in range(40)), options=WINDOWS)
    assert [[(e.text, e.start) for e in result.tags.entities] for result in results] == [[("Paris", 1000)]] * 40


def test_pairs_are_refused_one_by_one(tasks: Stub) -> None:
    request = pb.TagRequest(model=model("tagger"), inputs=[*inputs("Paris"), pb.TextInput(text="a", text_pair="b")])
    first, second = tasks.Tag(request, timeout=TIMEOUT).results
    assert first.tags.entities[0].text == "Paris"
    assert failed(second.error).field == "inputs[1].text_pair"
    assert failed(second.error).reason == "PAIR_NOT_TAKEN"
