"""bertline.inference.v1.InferenceService: translates, never decides."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
from bertline.inference.v1 import inference_pb2 as pb
from bertline.inference.v1 import inference_pb2_grpc

from services.inference.calls import Calls
from services.inference.pipeline import Pipeline
from services.inference.tasks.classification import classify
from services.inference.tasks.embedding import embed
from services.inference.tasks.explanation import explain
from services.inference.tasks.regression import regress
from services.inference.tasks.scoring import score
from services.inference.tasks.tagging import tag
from services.inference.validation import check_id
from services.inference.wires import wire_requests as queries
from services.inference.wires import wire_responses as responses
from services.inference.wires.registration import registration
from services.platform.failures import Failure

SERVICE = pb.DESCRIPTOR.services_by_name["InferenceService"].full_name
STREAM_WINDOW = 64
"""Requests of one stream that are worked on at once."""

Context = grpc.aio.ServicerContext[Any, Any]
Deadline = float | None


class InferenceServicer(inference_pb2_grpc.InferenceServiceServicer):
    """The RPCs of InferenceService; see the contract."""

    def __init__(self, pipeline: Pipeline, calls: Calls) -> None:
        self._pipeline = pipeline
        self._calls = calls

    async def Classify(self, request: pb.ClassifyRequest, context: Context) -> pb.ClassifyResponse:  # noqa: N802, D102
        async def work(deadline: Deadline) -> pb.ClassifyResponse:
            return await self._classify(request, deadline)

        return await self._calls.answer("Classify", request.model.name, context, work)

    async def Embed(self, request: pb.EmbedRequest, context: Context) -> pb.EmbedResponse:  # noqa: N802, D102
        async def work(deadline: Deadline) -> pb.EmbedResponse:
            return responses.embed_response(await embed(self._pipeline, queries.embed_query(request, deadline)))

        return await self._calls.answer("Embed", request.model.name, context, work)

    async def Score(self, request: pb.ScoreRequest, context: Context) -> pb.ScoreResponse:  # noqa: N802, D102
        async def work(deadline: Deadline) -> pb.ScoreResponse:
            ranked = await score(self._pipeline, queries.score_query(request, deadline))
            return responses.score_response(ranked, request.raw_scores)

        return await self._calls.answer("Score", request.model.name, context, work)

    async def Regress(self, request: pb.RegressRequest, context: Context) -> pb.RegressResponse:  # noqa: N802, D102
        async def work(deadline: Deadline) -> pb.RegressResponse:
            return responses.regress_response(await regress(self._pipeline, queries.regress_query(request, deadline)))

        return await self._calls.answer("Regress", request.model.name, context, work)

    async def Tag(self, request: pb.TagRequest, context: Context) -> pb.TagResponse:  # noqa: N802, D102
        async def work(deadline: Deadline) -> pb.TagResponse:
            return responses.tag_response(await tag(self._pipeline, queries.tag_query(request, deadline)))

        return await self._calls.answer("Tag", request.model.name, context, work)

    async def Explain(self, request: pb.ExplainRequest, context: Context) -> pb.ExplainResponse:  # noqa: N802, D102
        async def work(deadline: Deadline) -> pb.ExplainResponse:
            return responses.explain_response(await explain(self._pipeline, queries.explain_query(request, deadline)))

        return await self._calls.answer("Explain", request.model.name, context, work)

    async def StreamClassify(  # noqa: N802, D102
        self, request_iterator: AsyncIterator[pb.StreamClassifyRequest], context: Context
    ) -> AsyncIterator[pb.StreamClassifyResponse]:
        async def answer(request: pb.StreamClassifyRequest, deadline: Deadline) -> pb.StreamClassifyResponse:
            check_id(request.id)
            return pb.StreamClassifyResponse(id=request.id, response=await self._classify(request.request, deadline))

        def failed(request: pb.StreamClassifyRequest, failure: Failure) -> pb.StreamClassifyResponse:
            return responses.stream_failure(request.id, failure)

        stream = self._calls.stream("StreamClassify", context, request_iterator, answer, failed, _name, STREAM_WINDOW)
        async for response in stream:
            yield response

    async def _classify(self, request: pb.ClassifyRequest, deadline: Deadline) -> pb.ClassifyResponse:
        prediction = await classify(self._pipeline, queries.classify_query(request, deadline))
        return responses.classify_response(prediction, request.raw_scores)


def _name(request: pb.StreamClassifyRequest) -> str:
    return request.request.model.name


def register(server: grpc.aio.Server, pipeline: Pipeline, calls: Calls) -> str:
    """Adds the service to a server; returns its full name."""
    inference_pb2_grpc.add_InferenceServiceServicer_to_server(
        InferenceServicer(pipeline, calls), registration(server, calls)
    )
    return SERVICE
