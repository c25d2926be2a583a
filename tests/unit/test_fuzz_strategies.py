from __future__ import annotations

import pytest
from bertline.inference.v1 import inference_pb2 as pb
from hypothesis import given, settings
from open_inference import grpc_service_pb2 as oip

from benchmarks.frames import PREFACE
from tests.fuzz.cases import Case, cases
from tests.fuzz.frames import writings
from tests.fuzz.messages import messages, mutations, requests


def test_every_method_that_changes_nothing_is_fuzzed() -> None:
    methods = {case.path.rpartition("/")[2] for case in cases()}
    assert {each.name for each in pb.DESCRIPTOR.services_by_name["InferenceService"].methods} <= methods
    assert {each.name for each in oip.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods} <= methods
    assert {"ListModels", "GetModel", "GetModelVersion"} <= methods
    assert not {"SetLabel", "DeleteLabel", "SetTrafficSplit", "UnloadModelVersion"} & methods


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.path)
def test_proper_requests_are_of_the_methods_type(case: Case) -> None:
    assert all(message.DESCRIPTOR.full_name == case.request.full_name for message in case.proper)
    assert len({case.streaming for case in cases()}) == 2


@settings(max_examples=20, deadline=None)
@given(messages(oip.ModelInferRequest.DESCRIPTOR))
def test_any_message_can_be_sent(message: oip.ModelInferRequest) -> None:
    assert oip.ModelInferRequest.FromString(message.SerializeToString()).SerializeToString() is not None


PROPER = [pb.ClassifyRequest(model=pb.ModelSelector(name="tiny"), inputs=[pb.TextInput(text="bank")])]


@settings(max_examples=20, deadline=None)
@given(mutations(PROPER))
def test_a_mutation_leaves_the_proper_request_alone(message: pb.ClassifyRequest) -> None:
    assert isinstance(message, pb.ClassifyRequest)
    assert PROPER[0].inputs[0].text == "bank"
    assert PROPER[0].model.name == "tiny"


@settings(max_examples=20, deadline=None)
@given(requests([], pb.ClassifyRequest.DESCRIPTOR))
def test_without_a_proper_request_any_will_do(message: pb.ClassifyRequest) -> None:
    assert isinstance(message, pb.ClassifyRequest)


def test_some_writings_get_past_the_greeting_and_some_do_not() -> None:
    greeted: set[bool] = set()

    @settings(max_examples=60, deadline=None, database=None)
    @given(writings())
    def look(data: bytes) -> None:
        greeted.add(data.startswith(PREFACE))

    look()
    assert greeted == {True, False}
