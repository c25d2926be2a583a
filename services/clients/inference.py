"""Typed clients of the inference service, for threads and for asyncio."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any

import grpc
from bertline.inference.v1 import inference_pb2_grpc

from services.clients.channels import OPTIONS, ClientTls
from services.clients.failures import failure_of
from services.clients.messages import ClassifyReply, Text, from_response, to_request

Metadata = tuple[tuple[str, str], ...]


def _metadata(correlation_id: str | None) -> Metadata:
    return (("x-correlation-id", correlation_id),) if correlation_id else ()


class InferenceClient:
    """Blocking client; thread-safe. Use it as a context manager.

    with InferenceClient("127.0.0.1:50051") as client:
        reply = client.classify(["Shares rallied after the rate cut."], model="news")
    """

    def __init__(self, target: str, *, timeout_s: float = 10.0, tls: ClientTls | None = None) -> None:
        options: Any = OPTIONS
        self._channel = (
            grpc.secure_channel(target, tls.credentials(), options) if tls else grpc.insecure_channel(target, options)
        )
        self._stub = inference_pb2_grpc.InferenceServiceStub(self._channel)
        self._timeout_s = timeout_s

    def classify(
        self,
        texts: Sequence[Text],
        *,
        model: str = "",
        version: int | None = None,
        label: str | None = None,
        top_k: int | None = 1,
        timeout_s: float | None = None,
        correlation_id: str | None = None,
    ) -> ClassifyReply:
        """Classifies texts. `top_k` None: all labels. An empty `model` means the server's only one.

        A text that fails alone is an `ItemError` in the results. Raises CallFailed or a subclass for the call.
        """
        request = to_request(texts, model, version, label, top_k)
        try:
            response = self._stub.Classify(
                request, timeout=timeout_s or self._timeout_s, metadata=_metadata(correlation_id)
            )
        except grpc.RpcError as error:
            raise failure_of(error) from None
        return from_response(response)

    def close(self) -> None:
        """Closes the channel."""
        self._channel.close()

    def __enter__(self) -> InferenceClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncInferenceClient:
    """The same for asyncio. Make it inside a running event loop."""

    def __init__(self, target: str, *, timeout_s: float = 10.0, tls: ClientTls | None = None) -> None:
        options: Any = OPTIONS
        self._channel = (
            grpc.aio.secure_channel(target, tls.credentials(), options)
            if tls
            else grpc.aio.insecure_channel(target, options)
        )
        self._stub: inference_pb2_grpc.InferenceServiceAsyncStub = inference_pb2_grpc.InferenceServiceStub(
            self._channel
        )
        self._timeout_s = timeout_s

    async def classify(
        self,
        texts: Sequence[Text],
        *,
        model: str = "",
        version: int | None = None,
        label: str | None = None,
        top_k: int | None = 1,
        timeout_s: float | None = None,
        correlation_id: str | None = None,
    ) -> ClassifyReply:
        """As `InferenceClient.classify`."""
        request = to_request(texts, model, version, label, top_k)
        try:
            response = await self._stub.Classify(
                request, timeout=timeout_s or self._timeout_s, metadata=_metadata(correlation_id)
            )
        except grpc.RpcError as error:
            raise failure_of(error) from None
        return from_response(response)

    async def close(self) -> None:
        """Closes the channel."""
        await self._channel.close()

    async def __aenter__(self) -> AsyncInferenceClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
