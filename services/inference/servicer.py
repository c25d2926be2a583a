"""bertline.inference.v1.InferenceService: translates, never decides."""

from __future__ import annotations

from typing import Any

import grpc
from bertline.inference.v1 import inference_pb2 as pb
from bertline.inference.v1 import inference_pb2_grpc

from services.inference import wire
from services.inference.calls import Calls
from services.inference.pipeline import Pipeline

SERVICE = pb.DESCRIPTOR.services_by_name["InferenceService"].full_name


class InferenceServicer(inference_pb2_grpc.InferenceServiceServicer):
    """The RPCs of InferenceService."""

    def __init__(self, pipeline: Pipeline, calls: Calls) -> None:
        self._pipeline = pipeline
        self._calls = calls

    async def Classify(  # noqa: N802 - the name of the RPC
        self, request: pb.ClassifyRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.ClassifyResponse:
        """See the contract."""

        async def work(deadline: float | None) -> pb.ClassifyResponse:
            return wire.to_response(await self._pipeline.classify(wire.to_query(request, deadline)))

        return await self._calls.answer("Classify", request.model.name, context, work)


def register(server: grpc.aio.Server, pipeline: Pipeline, calls: Calls) -> str:
    """Adds the service to a server; returns its full name."""
    inference_pb2_grpc.add_InferenceServiceServicer_to_server(InferenceServicer(pipeline, calls), server)
    return SERVICE
