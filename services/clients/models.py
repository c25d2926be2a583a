"""Typed clients of the model service, for threads and for asyncio."""

from __future__ import annotations

from typing import Any

from bertline.models.v1 import models_pb2 as pb
from bertline.models.v1 import models_pb2_grpc

from services.clients.channels import ClientTls
from services.clients.connections import AsyncConnection, BlockingConnection
from services.clients.model_messages import (
    ModelStatus,
    Target,
    VersionFacts,
    facts_of,
    model_of,
    models_of,
    shadow_request,
    split_request,
    version_request,
)

TIMEOUT_S = 120.0
"""Loading a version takes seconds, and changes of one server wait for one another."""


class ModelClient(BlockingConnection):
    """Blocking client; thread-safe. Use it as a context manager.

    with ModelClient("127.0.0.1:50051") as client:
        client.set_label("news", "canary", 7)
        client.set_traffic_split("news", {"canary": 5})

    A change is in the registry, and applied by the server that was asked, when its method returns; other servers follow
    within their polling interval. Methods that change return the model as it is then. All raise CallFailed or a subclass:
    InvalidRequest, NotFound, FailedPrecondition, whose details say why.
    """

    def __init__(
        self, target: str, *, timeout_s: float = TIMEOUT_S, tls: ClientTls | None = None, correlation_id: str = ""
    ) -> None:
        super().__init__(target, timeout_s, tls, correlation_id)
        self._stub = models_pb2_grpc.ModelServiceStub(self._channel)

    def list_models(self) -> list[ModelStatus]:
        """Every model that the server follows, by name; pages are fetched as needed."""
        found: list[ModelStatus] = []
        token = ""
        while True:
            response, _ = self._send(self._stub.ListModels, pb.ListModelsRequest(page_token=token))
            found += models_of(response.models)
            token = response.next_page_token
            if not token:
                return found

    def get_model(self, name: str) -> ModelStatus:
        """One model."""
        return self._model(self._stub.GetModel, pb.GetModelRequest(name=name))

    def get_version(self, name: str, *, version: int | None = None, label: str | None = None) -> VersionFacts:
        """One version, the stable one by default. Raises ValueError for both version and label."""
        return facts_of(self._send(self._stub.GetModelVersion, version_request(name, version, label))[0])

    def load(self, name: str, version: int) -> ModelStatus:
        """Loads a version although no label points at it."""
        return self._model(self._stub.LoadModelVersion, pb.LoadModelVersionRequest(name=name, version=version))

    def unload(self, name: str, version: int) -> ModelStatus:
        """Takes back `load`."""
        return self._model(self._stub.UnloadModelVersion, pb.UnloadModelVersionRequest(name=name, version=version))

    def set_label(self, name: str, label: str, version: int) -> ModelStatus:
        """Points a label at a version."""
        return self._model(self._stub.SetLabel, pb.SetLabelRequest(name=name, label=label, version=version))

    def delete_label(self, name: str, label: str) -> ModelStatus:
        """Removes a label, not "stable"."""
        return self._model(self._stub.DeleteLabel, pb.DeleteLabelRequest(name=name, label=label))

    def roll_back_label(self, name: str, label: str = "stable") -> ModelStatus:
        """Points a label at the version it had before."""
        return self._model(self._stub.RollBackLabel, pb.RollBackLabelRequest(name=name, label=label))

    def set_traffic_split(self, name: str, shares: dict[Target, int]) -> ModelStatus:
        """Percent for versions and labels; the rest, with no shares all, goes to "stable"."""
        return self._model(self._stub.SetTrafficSplit, split_request(name, shares))

    def set_shadow(self, name: str, target: Target | None, percent: int = 100) -> ModelStatus:
        """Mirrors so many percent of the calls to a version or label; None: no longer."""
        return self._model(self._stub.SetShadow, shadow_request(name, target, percent))

    def _model(self, rpc: Any, request: Any) -> ModelStatus:
        return model_of(self._send(rpc, request)[0].model)


class AsyncModelClient(AsyncConnection):
    """`ModelClient` for asyncio. Make it inside a running event loop."""

    def __init__(
        self, target: str, *, timeout_s: float = TIMEOUT_S, tls: ClientTls | None = None, correlation_id: str = ""
    ) -> None:
        super().__init__(target, timeout_s, tls, correlation_id)
        self._stub: models_pb2_grpc.ModelServiceAsyncStub = models_pb2_grpc.ModelServiceStub(self._channel)

    async def list_models(self) -> list[ModelStatus]:
        """As `ModelClient.list_models`."""
        found: list[ModelStatus] = []
        token = ""
        while True:
            response, _ = await self._send(self._stub.ListModels, pb.ListModelsRequest(page_token=token))
            found += models_of(response.models)
            token = response.next_page_token
            if not token:
                return found

    async def get_model(self, name: str) -> ModelStatus:
        """As `ModelClient.get_model`."""
        return await self._model(self._stub.GetModel, pb.GetModelRequest(name=name))

    async def get_version(self, name: str, *, version: int | None = None, label: str | None = None) -> VersionFacts:
        """As `ModelClient.get_version`."""
        return facts_of((await self._send(self._stub.GetModelVersion, version_request(name, version, label)))[0])

    async def load(self, name: str, version: int) -> ModelStatus:
        """As `ModelClient.load`."""
        return await self._model(self._stub.LoadModelVersion, pb.LoadModelVersionRequest(name=name, version=version))

    async def unload(self, name: str, version: int) -> ModelStatus:
        """As `ModelClient.unload`."""
        request = pb.UnloadModelVersionRequest(name=name, version=version)
        return await self._model(self._stub.UnloadModelVersion, request)

    async def set_label(self, name: str, label: str, version: int) -> ModelStatus:
        """As `ModelClient.set_label`."""
        return await self._model(self._stub.SetLabel, pb.SetLabelRequest(name=name, label=label, version=version))

    async def delete_label(self, name: str, label: str) -> ModelStatus:
        """As `ModelClient.delete_label`."""
        return await self._model(self._stub.DeleteLabel, pb.DeleteLabelRequest(name=name, label=label))

    async def roll_back_label(self, name: str, label: str = "stable") -> ModelStatus:
        """As `ModelClient.roll_back_label`."""
        return await self._model(self._stub.RollBackLabel, pb.RollBackLabelRequest(name=name, label=label))

    async def set_traffic_split(self, name: str, shares: dict[Target, int]) -> ModelStatus:
        """As `ModelClient.set_traffic_split`."""
        return await self._model(self._stub.SetTrafficSplit, split_request(name, shares))

    async def set_shadow(self, name: str, target: Target | None, percent: int = 100) -> ModelStatus:
        """As `ModelClient.set_shadow`."""
        return await self._model(self._stub.SetShadow, shadow_request(name, target, percent))

    async def _model(self, rpc: Any, request: Any) -> ModelStatus:
        return model_of((await self._send(rpc, request))[0].model)
