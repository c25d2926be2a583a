"""Explain on a real server with real models, through the generated stubs."""

from __future__ import annotations

import pytest
from bertline.inference.v1 import inference_pb2 as pb
from bertline.inference.v1 import inference_pb2_grpc

from tests.fakes.failed_calls import Failed, failure

Stub = inference_pb2_grpc.InferenceServiceStub
TIMEOUT = 10.0
WINDOWS = pb.CallOptions(windows=pb.Windows())
NO_CUT = pb.CallOptions(truncation=pb.TRUNCATION_ERROR)
INVALID = "INVALID_ARGUMENT"


def model(name: str) -> pb.ModelSelector:
    return pb.ModelSelector(name=name)


def explain(tasks: Stub, text: str, **options: object) -> pb.ExplainResponse:
    name = options.pop("name", "tiny")
    request = pb.ExplainRequest(model=model(str(name)), input=pb.TextInput(text=text), **options)  # type: ignore[arg-type]
    reply: pb.ExplainResponse = tasks.Explain(request, timeout=TIMEOUT)
    return reply


def test_the_words_that_speak_for_a_label_are_found(tasks: Stub) -> None:
    reply = explain(tasks, "the bank saw a goal and the rate fell")
    assert reply.label == "business"
    assert (len(reply.words), reply.evaluation_count) == (9, 10)
    by_word = {word.text: word for word in reply.words}
    assert by_word["bank"].contribution > 0 > by_word["goal"].contribution
    assert by_word["bank"].raw_contribution > by_word["the"].raw_contribution
    assert [(word.start, word.end) for word in reply.words][:3] == [(0, 3), (4, 8), (9, 12)]


def test_another_label_can_be_asked_for(tasks: Stub) -> None:
    reply = explain(tasks, "bank goal", label="sports")
    assert {word.text: word.contribution > 0 for word in reply.words} == {"bank": False, "goal": True}
    refused = failure(lambda: explain(tasks, "bank", label="weather"))
    assert (refused.code, refused.reason, refused.field) == (INVALID, "UNKNOWN_LABEL", "label")


def test_top_k_gives_the_strongest_first(tasks: Stub) -> None:
    words = explain(tasks, "the bank saw a goal and the rate fell", top_k=3).words
    assert {word.text for word in words} == {"bank", "rate", "goal"}
    strengths = [abs(word.contribution) for word in words]
    assert strengths == sorted(strengths, reverse=True)


def test_a_text_of_one_word_and_one_of_none_are_explained(tasks: Stub) -> None:
    one = explain(tasks, "球")
    assert ([word.text for word in one.words], one.evaluation_count) == (["球"], 2)
    none = explain(tasks, "\u200b")
    assert (list(none.words), none.evaluation_count) == ([], 1)


def test_a_text_of_thousands_of_words_is_explained_in_groups_as_far_as_it_is_read(tasks: Stub) -> None:
    reply = explain(tasks, "bank " * 5_000, max_evaluations=4)
    assert reply.truncated
    assert (len(reply.words), reply.evaluation_count) == (4, 5)
    assert reply.words[0].text == " ".join(["bank"] * 7)
    assert reply.words[-1].end == 5 * 30 - 1


def test_offsets_of_words_count_in_the_callers_unit(tasks: Stub) -> None:
    text = "🚀 bank"
    word = explain(tasks, text, offset_unit=pb.OFFSET_UNIT_UTF16).words[-1]
    assert (word.text, word.start, word.end) == ("bank", 3, 7)


def test_of_a_pair_the_first_texts_words_are_explained(tasks: Stub) -> None:
    text = pb.TextInput(text="bank goal", text_pair="rate shares")
    reply = tasks.Explain(pb.ExplainRequest(model=model("pairs"), input=text), timeout=TIMEOUT)
    assert [word.text for word in reply.words] == ["bank", "goal"]
    assert reply.label == "business"


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("", {}, Failed(INVALID, "TEXT_EMPTY", "input.text", "the text is empty")),
        ("bank", {"max_evaluations": 0}, (INVALID, "OUT_OF_RANGE", "max_evaluations")),
        ("bank", {"max_evaluations": 257}, (INVALID, "OUT_OF_RANGE", "max_evaluations")),
        ("bank", {"top_k": -1}, (INVALID, "NEGATIVE_TOP_K", "top_k")),
        ("bank", {"options": WINDOWS}, (INVALID, "WINDOWS_NOT_TAKEN", "options.windows")),
        ("bank " * 99, {"options": NO_CUT}, (INVALID, "TOO_MANY_TOKENS", "input.text")),
    ],
)
def test_what_cannot_be_explained_fails_the_call(
    tasks: Stub, text: str, options: dict[str, object], expected: Failed | tuple[str, str, str]
) -> None:
    refused = failure(lambda: explain(tasks, text, **options))
    if isinstance(expected, Failed):
        assert refused == expected
    else:
        assert (refused.code, refused.reason, refused.field) == expected
