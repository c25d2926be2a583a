"""Typed clients of the inference service, for threads and for asyncio."""

from __future__ import annotations

from collections.abc import Sequence

import grpc
from bertline.inference.v1 import inference_pb2_grpc

from services.clients.calls import CallOptions
from services.clients.channels import ClientTls, asyncio_channel, blocking_channel
from services.clients.failures import failure_of
from services.clients.messages import ClassifyReply, Text, from_response, to_request

TIMEOUT_S = 10.0


class InferenceClient:
    """Blocking client; thread-safe. Use it as a context manager.

    with InferenceClient("127.0.0.1:50051") as client:
        reply = client.classify(["Shares rallied after the rate cut."], model="news")

    `target` may name many servers ("dns:///inference:50051", "ipv4:10.0.0.1:50051,10.0.0.2:50051"): calls go round them.
    `timeout_s` and `correlation_id` are for all calls that bring none of their own.
    """

    def __init__(
        self, target: str, *, timeout_s: float = TIMEOUT_S, tls: ClientTls | None = None, correlation_id: str = ""
    ) -> None:
        self._options = CallOptions(timeout_s, correlation_id)
        self._channel = blocking_channel(target, tls)
        self._stub = inference_pb2_grpc.InferenceServiceStub(self._channel)

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
        """Classifies texts, or (text, text_pair) for models of pairs; results come in their order.

        An empty `model` means the server's only one; without `version` and `label`, the version labelled "stable"
        answers. `top_k` None: all labels. `timeout_s` spans all retries. A text that fails alone is an `ItemError` in
        the results. Raises CallFailed or a subclass when the call fails, ValueError for arguments that make no sense.
        """
        request = to_request(texts, model, version, label, top_k)
        options = self._options.for_call(timeout_s, correlation_id)
        try:
            response = self._stub.Classify(request, timeout=options.timeout_s, metadata=options.metadata)
        except grpc.RpcError as error:
            raise failure_of(error, options.correlation_id) from None
        return from_response(response, options.correlation_id)

    def close(self) -> None:
        """Closes the channel; calls that still run are cancelled."""
        self._channel.close()

    def __enter__(self) -> InferenceClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncInferenceClient:
    """`InferenceClient` for asyncio. Make it inside a running event loop."""

    def __init__(
        self, target: str, *, timeout_s: float = TIMEOUT_S, tls: ClientTls | None = None, correlation_id: str = ""
    ) -> None:
        self._options = CallOptions(timeout_s, correlation_id)
        self._channel = asyncio_channel(target, tls)
        self._stub: inference_pb2_grpc.InferenceServiceAsyncStub = inference_pb2_grpc.InferenceServiceStub(
            self._channel
        )

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
        """As `InferenceClient.classify`; cancelling it cancels the work on the server."""
        request = to_request(texts, model, version, label, top_k)
        options = self._options.for_call(timeout_s, correlation_id)
        try:
            response = await self._stub.Classify(request, timeout=options.timeout_s, metadata=options.metadata)
        except grpc.RpcError as error:
            raise failure_of(error, options.correlation_id) from None
        return from_response(response, options.correlation_id)

    async def close(self) -> None:
        """Closes the channel; calls that still run are cancelled."""
        await self._channel.close()

    async def __aenter__(self) -> AsyncInferenceClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
