"""bertline.models.v1.ModelService: translates, never decides."""

from __future__ import annotations

from typing import Any

import grpc
from bertline.models.v1 import models_pb2 as pb
from bertline.models.v1 import models_pb2_grpc

from services.inference.administration import ModelAdministration
from services.inference.calls import Calls
from services.inference.wires import models_wire as wire
from services.inference.wires.registration import registration

SERVICE = pb.DESCRIPTOR.services_by_name["ModelService"].full_name

Context = grpc.aio.ServicerContext[Any, Any]


class ModelServicer(models_pb2_grpc.ModelServiceServicer):
    """The RPCs of ModelService; see the contract."""

    def __init__(self, administration: ModelAdministration, calls: Calls) -> None:
        self._models = administration
        self._calls = calls

    async def ListModels(self, request: pb.ListModelsRequest, context: Context) -> pb.ListModelsResponse:  # noqa: N802, D102
        async def work(_: float | None) -> pb.ListModelsResponse:
            views, last = await self._models.page(request.page_size, wire.after(request.page_token))
            return pb.ListModelsResponse(models=map(wire.model, views), next_page_token=wire.page_token(last))

        return await self._calls.answer("ListModels", "", context, work)

    async def GetModel(self, request: pb.GetModelRequest, context: Context) -> pb.GetModelResponse:  # noqa: N802, D102
        async def work(_: float | None) -> pb.GetModelResponse:
            return pb.GetModelResponse(model=wire.model(await self._models.get(request.name)))

        return await self._calls.answer("GetModel", request.name, context, work)

    async def GetModelVersion(  # noqa: N802, D102
        self, request: pb.GetModelVersionRequest, context: Context
    ) -> pb.GetModelVersionResponse:
        async def work(_: float | None) -> pb.GetModelVersionResponse:
            return wire.version_response(*await self._models.version(request.name, *wire.selection(request)))

        return await self._calls.answer("GetModelVersion", request.name, context, work)

    async def LoadModelVersion(  # noqa: N802, D102
        self, request: pb.LoadModelVersionRequest, context: Context
    ) -> pb.LoadModelVersionResponse:
        async def work(_: float | None) -> pb.LoadModelVersionResponse:
            view = await self._models.load(request.name, request.version)
            return pb.LoadModelVersionResponse(model=wire.model(view))

        return await self._calls.answer("LoadModelVersion", request.name, context, work)

    async def UnloadModelVersion(  # noqa: N802, D102
        self, request: pb.UnloadModelVersionRequest, context: Context
    ) -> pb.UnloadModelVersionResponse:
        async def work(_: float | None) -> pb.UnloadModelVersionResponse:
            view = await self._models.unload(request.name, request.version)
            return pb.UnloadModelVersionResponse(model=wire.model(view))

        return await self._calls.answer("UnloadModelVersion", request.name, context, work)

    async def SetLabel(self, request: pb.SetLabelRequest, context: Context) -> pb.SetLabelResponse:  # noqa: N802, D102
        async def work(_: float | None) -> pb.SetLabelResponse:
            view = await self._models.set_label(request.name, request.label, request.version)
            return pb.SetLabelResponse(model=wire.model(view))

        return await self._calls.answer("SetLabel", request.name, context, work)

    async def DeleteLabel(self, request: pb.DeleteLabelRequest, context: Context) -> pb.DeleteLabelResponse:  # noqa: N802, D102
        async def work(_: float | None) -> pb.DeleteLabelResponse:
            view = await self._models.delete_label(request.name, request.label)
            return pb.DeleteLabelResponse(model=wire.model(view))

        return await self._calls.answer("DeleteLabel", request.name, context, work)

    async def RollBackLabel(  # noqa: N802, D102
        self, request: pb.RollBackLabelRequest, context: Context
    ) -> pb.RollBackLabelResponse:
        async def work(_: float | None) -> pb.RollBackLabelResponse:
            view = await self._models.roll_back(request.name, request.label)
            return pb.RollBackLabelResponse(model=wire.model(view))

        return await self._calls.answer("RollBackLabel", request.name, context, work)

    async def SetTrafficSplit(  # noqa: N802, D102
        self, request: pb.SetTrafficSplitRequest, context: Context
    ) -> pb.SetTrafficSplitResponse:
        async def work(_: float | None) -> pb.SetTrafficSplitResponse:
            view = await self._models.set_split(request.name, wire.shares(request))
            return pb.SetTrafficSplitResponse(model=wire.model(view))

        return await self._calls.answer("SetTrafficSplit", request.name, context, work)

    async def SetShadow(self, request: pb.SetShadowRequest, context: Context) -> pb.SetShadowResponse:  # noqa: N802, D102
        async def work(_: float | None) -> pb.SetShadowResponse:
            view = await self._models.set_shadow(request.name, wire.shadow(request), request.percent)
            return pb.SetShadowResponse(model=wire.model(view))

        return await self._calls.answer("SetShadow", request.name, context, work)


def register(server: grpc.aio.Server, administration: ModelAdministration, calls: Calls) -> str:
    """Adds the service to a server; returns its full name."""
    models_pb2_grpc.add_ModelServiceServicer_to_server(
        ModelServicer(administration, calls), registration(server, calls)
    )
    return SERVICE
