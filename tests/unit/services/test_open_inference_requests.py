from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from open_inference import grpc_service_pb2 as pb

from services.inference.queries import ModelReference
from services.inference.wires.open_inference_requests import Wanted, deadline_of, outputs_of, reference_of
from services.platform.failures import InvalidInput, ModelNotFound

Output = pb.ModelInferRequest.InferRequestedOutputTensor


@pytest.mark.parametrize(
    ("word", "reference"),
    [
        ("", ModelReference("news")),
        ("3", ModelReference("news", version=3)),
        ("canary", ModelReference("news", label="canary")),
        ("2025-rc", ModelReference("news", label="2025-rc")),
        ("²", ModelReference("news", label="²")),
        ("9" * 30, ModelReference("news", label="9" * 30)),
    ],
)
def test_a_version_is_a_number_and_anything_else_a_label(word: str, reference: ModelReference) -> None:
    assert reference_of("news", word) == reference


@settings(deadline=None)
@given(st.text(max_size=80), st.text(alphabet="0123456789²a", max_size=80))
def test_every_name_is_a_reference_or_not_found(name: str, version: str) -> None:
    try:
        assert reference_of(name, version).name == name
    except ModelNotFound as failure:
        assert len(failure.message) < 1000


OFFERED = ("probabilities", "label")


def request(**parameters: pb.InferParameter) -> pb.ModelInferRequest:
    return pb.ModelInferRequest(parameters=parameters)


def test_the_sooner_of_the_calls_deadline_and_the_requests_timeout_counts() -> None:
    half_second = request(timeout=pb.InferParameter(int64_param=500_000))
    assert deadline_of(half_second, None, 10.0) == 10.5
    assert deadline_of(half_second, 10.2, 10.0) == 10.2
    assert deadline_of(half_second, 11.0, 10.0) == 10.5
    assert deadline_of(request(), 11.0, 10.0) == 11.0
    assert deadline_of(request(timeout=pb.InferParameter(int64_param=0)), None, 10.0) is None


@pytest.mark.parametrize(
    "parameter",
    [
        pb.InferParameter(int64_param=-1),
        pb.InferParameter(string_param="5"),
        pb.InferParameter(double_param=5.0),
        pb.InferParameter(),
    ],
)
def test_a_timeout_that_is_no_count_of_microseconds_is_refused(parameter: pb.InferParameter) -> None:
    with pytest.raises(InvalidInput, match="'timeout' must be an int64"):
        deadline_of(request(timeout=parameter), None, 0.0)


def test_outputs_keep_their_order_and_none_means_all() -> None:
    one = pb.ModelInferRequest(outputs=[Output(name="label"), Output(name="probabilities")])
    assert outputs_of(one, OFFERED) == [Wanted("label"), Wanted("probabilities")]
    assert outputs_of(pb.ModelInferRequest(), OFFERED) == [Wanted("probabilities"), Wanted("label")]


def test_classification_asks_for_the_best_classes() -> None:
    top = Output(name="probabilities", parameters={"classification": pb.InferParameter(int64_param=3)})
    assert outputs_of(pb.ModelInferRequest(outputs=[top]), OFFERED) == [Wanted("probabilities", 3)]


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (Output(name="logits"), "no output 'logits', only probabilities and label"),
        (Output(name="x" * 10_000), "no output"),
        (Output(name="label", parameters={"classification": pb.InferParameter(int64_param=1)}), "only 'probabilities'"),
        (Output(name="probabilities", parameters={"classification": pb.InferParameter(int64_param=-1)}), "0 or more"),
        (
            Output(name="label", parameters={"shared_memory_region": pb.InferParameter(string_param="r")}),
            "shared memory are not supported",
        ),
    ],
)
def test_an_output_that_cannot_be_had_is_refused(output: Output, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        outputs_of(pb.ModelInferRequest(outputs=[output]), OFFERED)
    assert message in caught.value.message
    assert len(caught.value.message) + len(caught.value.field) < 300
