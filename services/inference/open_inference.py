"""The Open Inference Protocol v2: a second wire for the same pipeline. `tritonclient.grpc` works unmodified."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import grpc
from open_inference import grpc_service_pb2 as pb
from open_inference import grpc_service_pb2_grpc

from services.inference import open_inference_answers as answers
from services.inference import open_inference_tensors as tensors
from services.inference.calls import Calls
from services.inference.models import Models
from services.inference.pipeline import Pipeline
from services.inference.prediction import ModelReference, Query
from services.inference.settings import InferenceSettings
from services.platform.failures import Failure, InvalidInput, ModelNotFound

SERVICE = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name
EXTENSIONS = ["classification", "model_configuration", "statistics", "model_repository"]

Context = grpc.aio.ServicerContext[Any, Any]


def reference_of(name: str, version_or_label: str) -> ModelReference:
    """A version is a number, anything else a label; empty means the version labelled "stable"."""
    if version_or_label.isascii() and version_or_label.isdigit():
        return ModelReference(name, version=int(version_or_label))
    return ModelReference(name, label=version_or_label or None)


class OpenInferenceServicer(grpc_service_pb2_grpc.GRPCInferenceServiceServicer):
    """The RPCs of GRPCInferenceService."""

    def __init__(self, pipeline: Pipeline, models: Models, settings: InferenceSettings, calls: Calls) -> None:
        self._pipeline = pipeline
        self._models = models
        self._settings = settings
        self._calls = calls

    async def ServerLive(self, request: pb.ServerLiveRequest, context: Context) -> pb.ServerLiveResponse:  # noqa: N802
        """See the contract."""
        return pb.ServerLiveResponse(live=True)

    async def ServerReady(self, request: pb.ServerReadyRequest, context: Context) -> pb.ServerReadyResponse:  # noqa: N802
        """See the contract."""
        return pb.ServerReadyResponse(ready=True)

    async def ModelReady(self, request: pb.ModelReadyRequest, context: Context) -> pb.ModelReadyResponse:  # noqa: N802
        """See the contract."""
        try:
            self._models.get(reference_of(request.name, request.version))
        except ModelNotFound:
            return pb.ModelReadyResponse(ready=False)
        return pb.ModelReadyResponse(ready=True)

    async def ServerMetadata(  # noqa: N802
        self, request: pb.ServerMetadataRequest, context: Context
    ) -> pb.ServerMetadataResponse:
        """See the contract."""
        return pb.ServerMetadataResponse(name="bertline", version=_version(), extensions=EXTENSIONS)

    async def ModelMetadata(  # noqa: N802
        self, request: pb.ModelMetadataRequest, context: Context
    ) -> pb.ModelMetadataResponse:
        """See the contract."""

        async def work(_: float | None) -> pb.ModelMetadataResponse:
            model = self._models.get(reference_of(request.name, request.version))
            return answers.metadata(model, [each.version for each in self._models.loaded() if each.name == model.name])

        return await self._calls.answer("ModelMetadata", request.name, context, work)

    async def ModelConfig(self, request: pb.ModelConfigRequest, context: Context) -> pb.ModelConfigResponse:  # noqa: N802
        """See the contract."""

        async def work(_: float | None) -> pb.ModelConfigResponse:
            model = self._models.get(reference_of(request.name, request.version))
            return answers.configuration(model, self._settings.max_texts_per_call)

        return await self._calls.answer("ModelConfig", request.name, context, work)

    async def ModelStatistics(  # noqa: N802
        self, request: pb.ModelStatisticsRequest, context: Context
    ) -> pb.ModelStatisticsResponse:
        """See the contract."""

        async def work(_: float | None) -> pb.ModelStatisticsResponse:
            reference = reference_of(request.name, request.version)
            wanted = [self._models.get(reference)] if request.name else self._models.loaded()
            return pb.ModelStatisticsResponse(model_stats=[answers.statistics(model) for model in wanted])

        return await self._calls.answer("ModelStatistics", request.name, context, work)

    async def RepositoryIndex(  # noqa: N802
        self, request: pb.RepositoryIndexRequest, context: Context
    ) -> pb.RepositoryIndexResponse:
        """See the contract."""
        index = pb.RepositoryIndexResponse.ModelIndex
        return pb.RepositoryIndexResponse(
            models=[index(name=m.name, version=str(m.version), state="READY") for m in self._models.loaded()]
        )

    async def ModelInfer(self, request: pb.ModelInferRequest, context: Context) -> pb.ModelInferResponse:  # noqa: N802
        """See the contract."""

        async def work(deadline: float | None) -> pb.ModelInferResponse:
            return await self._infer(request, deadline)

        return await self._calls.answer("ModelInfer", request.model_name, context, work)

    async def ModelStreamInfer(  # noqa: N802
        self, request_iterator: AsyncIterator[pb.ModelInferRequest], context: Context
    ) -> AsyncIterator[pb.ModelStreamInferResponse]:
        """See the contract."""
        async for request in request_iterator:
            try:
                yield pb.ModelStreamInferResponse(infer_response=await self._infer(request, None))
            except Failure as failure:
                failed = pb.ModelInferResponse(id=request.id, model_name=request.model_name)
                yield pb.ModelStreamInferResponse(error_message=failure.message, infer_response=failed)

    async def _infer(self, request: pb.ModelInferRequest, deadline: float | None) -> pb.ModelInferResponse:
        reference = reference_of(request.model_name, request.model_version)
        model = self._models.get(reference)
        deadline = _earlier(deadline, request)
        inputs = tensors.read_inputs(request)
        if tensors.TEXT in inputs:
            query = Query(reference, tensors.texts_of(inputs), 1, deadline)
            prediction = await self._pipeline.classify(query)
        elif tensors.IDS in inputs:
            tokenization = model.tokenization
            rows = tensors.rows_of(inputs, model.manifest.max_length, tokenization.vocabulary_size)
            if not 0 < len(rows) <= self._settings.max_texts_per_call:
                raise InvalidInput(
                    f"{len(rows)} rows in one call: send 1 to {self._settings.max_texts_per_call}",
                    "inputs",
                    "TOO_MANY_INPUTS",
                )
            prediction = await self._pipeline.classify_encoded(reference, rows, deadline, 1)
        else:
            raise InvalidInput("send the input 'text', or 'input_ids' with 'attention_mask'", "inputs", "NO_INPUTS")
        return answers.response(request, prediction, model.manifest.labels)


def _earlier(deadline: float | None, request: pb.ModelInferRequest) -> float | None:
    """The call's deadline, or the request's own timeout if it is sooner."""
    if "timeout" not in request.parameters:
        return deadline
    timeout_us = request.parameters["timeout"].int64_param
    if timeout_us <= 0:
        return deadline
    own = asyncio.get_running_loop().time() + timeout_us / 1e6
    return own if deadline is None else min(own, deadline)


def _version() -> str:
    try:
        return version("bertline")
    except PackageNotFoundError:
        return "unknown"


def register(
    server: grpc.aio.Server, pipeline: Pipeline, models: Models, settings: InferenceSettings, calls: Calls
) -> str:
    """Adds the service to a server; returns its full name."""
    servicer = OpenInferenceServicer(pipeline, models, settings, calls)
    grpc_service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(servicer, server)
    return SERVICE
