"""The Open Inference Protocol v2: a second wire for the same pipeline. `tritonclient.grpc` works unmodified."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import grpc
from open_inference import grpc_service_pb2 as pb
from open_inference import grpc_service_pb2_grpc

from services.inference.calls import Calls
from services.inference.loading import LoadedModel
from services.inference.pipeline import Finish, Pipeline, Texts
from services.inference.prediction import Classification, Regression
from services.inference.queries import PLAIN, ClassifyQuery, ModelReference, Query, RegressQuery
from services.inference.settings import InferenceSettings
from services.inference.tasks import classification, regression
from services.inference.validation import check_reference
from services.inference.versions.models import Models
from services.inference.versions.reconciliation import Reconciler
from services.inference.wires import open_inference_answers as answers
from services.inference.wires.open_inference_requests import (
    deadline_of,
    inputs_of,
    outputs_of,
    outputs_offered,
    reference_of,
)
from services.inference.wires.registration import registration
from services.platform.failures import Failure, InvalidInput, ModelNotFound

SERVICE = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name
EXTENSIONS = ["classification", "model_configuration", "model_repository", "statistics"]
TASKS = classification.TASKS | regression.TASKS
STREAM_WINDOW = 64
"""Requests of one stream that are worked on at once."""

Context = grpc.aio.ServicerContext[Any, Any]


class OpenInferenceServicer(grpc_service_pb2_grpc.GRPCInferenceServiceServicer):
    """The RPCs of GRPCInferenceService."""

    def __init__(
        self, pipeline: Pipeline, models: Models, reconciler: Reconciler, settings: InferenceSettings, calls: Calls
    ) -> None:
        self._pipeline = pipeline
        self._models = models
        self._reconciler = reconciler
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
            return answers.metadata(model, [each.version for each in self._versions(model.name)])

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
            wanted = self._models.loaded()
            if request.name:
                model = self._models.get(reference_of(request.name, request.version))
                wanted = [model] if request.version else self._versions(model.name)
            return pb.ModelStatisticsResponse(model_stats=[answers.statistics(model) for model in wanted])

        return await self._calls.answer("ModelStatistics", request.name, context, work)

    async def RepositoryIndex(  # noqa: N802
        self, request: pb.RepositoryIndexRequest, context: Context
    ) -> pb.RepositoryIndexResponse:
        """See the contract."""
        return answers.index(self._reconciler.index(), request.ready)

    async def RepositoryModelLoad(  # noqa: N802
        self, request: pb.RepositoryModelLoadRequest, context: Context
    ) -> pb.RepositoryModelLoadResponse:
        """See the contract."""

        async def work(_: float | None) -> pb.RepositoryModelLoadResponse:
            if request.parameters:
                what = "a bundle is served as it was proven: send no parameters"
                raise InvalidInput(what, "parameters", "INVALID_PARAMETER")
            reference = reference_of(request.model_name, "")
            check_reference(reference)
            await self._reconciler.resume(reference.name)
            return pb.RepositoryModelLoadResponse()

        return await self._calls.answer("RepositoryModelLoad", request.model_name, context, work)

    async def RepositoryModelUnload(  # noqa: N802
        self, request: pb.RepositoryModelUnloadRequest, context: Context
    ) -> pb.RepositoryModelUnloadResponse:
        """See the contract."""

        async def work(_: float | None) -> pb.RepositoryModelUnloadResponse:
            await self._reconciler.suspend(reference_of(request.model_name, "").name)
            return pb.RepositoryModelUnloadResponse()

        return await self._calls.answer("RepositoryModelUnload", request.model_name, context, work)

    async def ModelInfer(self, request: pb.ModelInferRequest, context: Context) -> pb.ModelInferResponse:  # noqa: N802
        """See the contract."""

        async def work(deadline: float | None) -> pb.ModelInferResponse:
            return await self._infer(request, deadline)

        return await self._calls.answer("ModelInfer", request.model_name, context, work)

    async def ModelStreamInfer(  # noqa: N802
        self, request_iterator: AsyncIterator[pb.ModelInferRequest], context: Context
    ) -> AsyncIterator[pb.ModelStreamInferResponse]:
        """See the contract."""

        async def answer(request: pb.ModelInferRequest, deadline: float | None) -> pb.ModelStreamInferResponse:
            return pb.ModelStreamInferResponse(infer_response=await self._infer(request, deadline))

        def failed(request: pb.ModelInferRequest, failure: Failure) -> pb.ModelStreamInferResponse:
            response = pb.ModelInferResponse(id=request.id, model_name=request.model_name)
            return pb.ModelStreamInferResponse(error_message=failure.message, infer_response=response)

        stream = self._calls.stream(
            "ModelStreamInfer", context, request_iterator, answer, failed, _model_name, STREAM_WINDOW
        )
        async for response in stream:
            yield response

    async def _infer(self, request: pb.ModelInferRequest, deadline: float | None) -> pb.ModelInferResponse:
        reference = reference_of(request.model_name, request.model_version)
        self._models.get(reference)  # here an odd name is unknown, not malformed
        deadline = deadline_of(request, deadline, asyncio.get_running_loop().time())
        # where traffic is split, each look may find another version: the one that reads the inputs answers them
        with self._pipeline.model(Query(reference, deadline, PLAIN), TASKS) as model:
            outputs = outputs_of(request, outputs_offered(model.manifest))
            inputs = inputs_of(request, model, self._settings.max_texts_per_call)
            query, finish = _asked(model, reference, deadline)
            if inputs.texts:
                prediction = await self._pipeline.answer_with(model, query, Texts(inputs.texts), finish)
            else:
                query = replace(query, model=ModelReference(model.name, version=model.version))
                prediction = await self._pipeline.answer_encoded(query, inputs.rows, TASKS, finish)
            return answers.response(request.id, prediction, outputs, model.manifest.labels)

    def _versions(self, name: str) -> list[LoadedModel]:
        return [model for model in self._models.loaded() if model.name == name]


def _asked(
    model: LoadedModel, reference: ModelReference, deadline: float | None
) -> tuple[Query, Finish[Classification | Regression]]:
    """What the task of the model is asked, and how it answers."""
    if model.manifest.task in regression.TASKS:
        return RegressQuery(reference, deadline, PLAIN, ()), partial(regression.regression, options=PLAIN)
    query = ClassifyQuery(reference, deadline, PLAIN, ())
    return query, partial(classification.classification, query=query)


def _model_name(request: pb.ModelInferRequest) -> str:
    return request.model_name


def _version() -> str:
    try:
        return version("bertline")
    except PackageNotFoundError:
        return "unknown"


def register(
    server: grpc.aio.Server,
    pipeline: Pipeline,
    models: Models,
    reconciler: Reconciler,
    settings: InferenceSettings,
    calls: Calls,
) -> str:
    """Adds the service to a server; returns its full name."""
    servicer = OpenInferenceServicer(pipeline, models, reconciler, settings, calls)
    grpc_service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(servicer, registration(server, calls))
    return SERVICE
