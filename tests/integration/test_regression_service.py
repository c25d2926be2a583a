"""Regress over real gRPC: numbers in the units of the training data."""

from __future__ import annotations

import struct
from typing import Any

import grpc
import numpy as np
import pytest
from bertline.inference.v1 import inference_pb2 as pb
from open_inference import grpc_service_pb2 as oip
from open_inference import grpc_service_pb2_grpc

from services.clients import InferenceClient, ItemError, Regressed
from tests.fakes.failed_calls import failed, failure

TIMEOUT = 30.0
Stub = Any


def results(tasks: Stub, *texts: str, **fields: Any) -> list[pb.RegressResult]:
    inputs = [pb.TextInput(text=text) for text in texts]
    asked = pb.RegressRequest(model=pb.ModelSelector(name="stars"), inputs=inputs, **fields)
    return list(tasks.Regress(asked, timeout=TIMEOUT).results)


def infer(target: str, *texts: str, **fields: Any) -> oip.ModelInferResponse:
    asked = oip.ModelInferRequest(model_name="stars", **fields)
    tensor = asked.inputs.add(name="text", datatype="BYTES", shape=[len(texts)])
    tensor.contents.bytes_contents.extend(text.encode() for text in texts)
    with grpc.insecure_channel(target) as channel:
        return grpc_service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(asked, timeout=TIMEOUT)


def test_numbers_come_in_the_units_of_the_training_data_and_in_order(tasks: Stub) -> None:
    # with [CLS] and [SEP] there are four tokens: two of the first topic are half a deviation of 2 above the mean of 3
    found = [each.regression.value for each in results(tasks, "bank rate", "bank goal", "球队", "robot")]
    assert found == [4.0, 3.0, 2.0, 3.0]


def test_a_bad_text_does_not_fail_its_neighbours(tasks: Stub) -> None:
    first, second, third = results(tasks, "bank rate", " ", "goal goal")
    assert (first.regression.value, third.regression.value) == (4.0, 2.0)
    assert failed(second.error).reason == "TEXT_EMPTY"


def test_windows_are_combined_before_the_number_is_made(tasks: Stub) -> None:
    text = "bank " * 30 + "goal " * 30
    (cut,) = results(tasks, text)
    assert cut.regression.truncated
    assert cut.regression.value == pytest.approx(3 + 2 * 30 / 32)
    windows = pb.Windows(overlap_tokens=0)
    (whole,) = results(tasks, text, options=pb.CallOptions(windows=windows))
    assert whole.regression.window_count == 2
    assert whole.regression.value == pytest.approx(3.0, abs=1e-6)


def test_what_was_answered_before_is_remembered(tasks: Stub) -> None:
    first, second = (results(tasks, "profit of the market")[0].regression for _ in range(2))
    assert second.cached
    assert first.value == second.value


def test_other_tasks_are_refused_and_so_are_other_calls(tasks: Stub) -> None:
    text = [pb.TextInput(text="bank")]
    refused = (
        failure(lambda: tasks.Regress(pb.RegressRequest(model=pb.ModelSelector(name="tiny"), inputs=text))),
        failure(lambda: tasks.Classify(pb.ClassifyRequest(model=pb.ModelSelector(name="stars"), inputs=text))),
    )
    assert {each.reason for each in refused} == {"TASK_NOT_SERVED"}
    assert failure(lambda: results(tasks)).reason == "NO_INPUTS"


def test_the_client_gives_values_and_item_errors(server_of_every_task: str) -> None:
    with InferenceClient(server_of_every_task) as client:
        reply = client.regress(["bank rate", ""], model="stars")
    first, second = reply.results
    assert isinstance(first, Regressed)
    assert (first.value, first.token_count, reply.model) == (4.0, 4, "stars")
    assert isinstance(second, ItemError)


def test_the_open_inference_protocol_gives_a_column_of_doubles(server_of_every_task: str) -> None:
    answer = infer(server_of_every_task, "bank rate", "goal goal")
    (output,) = answer.outputs
    assert (output.name, output.datatype, list(output.shape)) == ("value", "FP64", [2, 1])
    assert np.frombuffer(answer.raw_output_contents[0], "<f8").tolist() == [4.0, 2.0]
    with grpc.insecure_channel(server_of_every_task) as channel:
        stub = grpc_service_pb2_grpc.GRPCInferenceServiceStub(channel)
        metadata = stub.ModelMetadata(oip.ModelMetadataRequest(name="stars"), timeout=TIMEOUT)
        config = stub.ModelConfig(oip.ModelConfigRequest(name="stars"), timeout=TIMEOUT).config
    assert [(each.name, each.datatype, list(each.shape)) for each in metadata.outputs] == [("value", "FP64", [-1, 1])]
    assert [(each.name, each.data_type, list(each.dims)) for each in config.output] == [("value", oip.TYPE_FP64, [1])]
    assert metadata.properties["task"] == "regression"


def test_token_ids_of_the_caller_give_numbers_too(server_of_every_task: str) -> None:
    asked = oip.ModelInferRequest(model_name="stars")
    for name, values in (("input_ids", [2, 5, 6, 3]), ("attention_mask", [1, 1, 1, 1])):
        asked.inputs.add(name=name, datatype="INT64", shape=[1, 4])
        asked.raw_input_contents.append(struct.pack("<4q", *values))
    with grpc.insecure_channel(server_of_every_task) as channel:
        stub = grpc_service_pb2_grpc.GRPCInferenceServiceStub(channel)
        answer = stub.ModelInfer(asked, timeout=TIMEOUT)
    assert np.frombuffer(answer.raw_output_contents[0], "<f8").tolist() == [4.0]


def test_an_output_that_the_task_does_not_have_is_refused(server_of_every_task: str) -> None:
    wanted = oip.ModelInferRequest.InferRequestedOutputTensor(name="probabilities")
    assert failure(lambda: infer(server_of_every_task, "bank", outputs=[wanted])).reason == "INVALID_OUTPUT"
