"""Bytes that are no message of the call: refused as any bad input, whatever service they were meant for."""

from __future__ import annotations

import grpc
import pytest

from tests.fakes.failed_calls import failed, status_of

JUNK = b"\xff" * 12


@pytest.mark.parametrize(
    "method",
    [
        "bertline.inference.v1.InferenceService/Classify",
        "bertline.inference.v1.InferenceService/Explain",
        "bertline.models.v1.ModelService/GetModel",
        "inference.GRPCInferenceService/ModelInfer",
        "inference.GRPCInferenceService/ServerLive",
    ],
)
def test_a_malformed_message_is_the_callers_fault_and_says_so(server_of_every_task: str, method: str) -> None:
    with grpc.insecure_channel(server_of_every_task) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary(f"/{method}")(JUNK, timeout=10.0, metadata=(("x-correlation-id", "junk-1"),))
        assert dict(caught.value.trailing_metadata())["x-correlation-id"] == "junk-1"  # type: ignore[attr-defined]
        failure = failed(status_of(caught.value))
        assert (failure.code, failure.reason) == ("INVALID_ARGUMENT", "MALFORMED_MESSAGE")
