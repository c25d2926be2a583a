"""What the clients of every service have in common: a channel, how calls are made over it, and how it is closed."""

from __future__ import annotations

from typing import Any, Self

import grpc

from services.clients.calls import CallOptions
from services.clients.channels import ClientTls, asyncio_channel, blocking_channel
from services.clients.failures import failure_of


class BlockingConnection:
    """For threads; thread-safe. Use it as a context manager."""

    def __init__(self, target: str, timeout_s: float, tls: ClientTls | None, correlation_id: str) -> None:
        self._options = CallOptions(timeout_s, correlation_id)
        self._channel = blocking_channel(target, tls)

    def _send(
        self, rpc: Any, request: object, timeout_s: float | None = None, correlation_id: str | None = None
    ) -> tuple[Any, str]:
        """The response, and the correlation id of the call. Raises CallFailed."""
        made = self._options.for_call(timeout_s, correlation_id)
        try:
            return rpc(request, timeout=made.timeout_s, metadata=made.metadata), made.correlation_id
        except grpc.RpcError as error:
            raise failure_of(error, made.correlation_id) from None

    def close(self) -> None:
        """Closes the channel; calls that still run are cancelled."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncConnection:
    """For asyncio. Make it inside a running event loop; cancelling a call cancels its work on the server."""

    def __init__(self, target: str, timeout_s: float, tls: ClientTls | None, correlation_id: str) -> None:
        self._options = CallOptions(timeout_s, correlation_id)
        self._channel = asyncio_channel(target, tls)

    async def _send(
        self, rpc: Any, request: object, timeout_s: float | None = None, correlation_id: str | None = None
    ) -> tuple[Any, str]:
        """The response, and the correlation id of the call. Raises CallFailed."""
        made = self._options.for_call(timeout_s, correlation_id)
        try:
            return await rpc(request, timeout=made.timeout_s, metadata=made.metadata), made.correlation_id
        except grpc.RpcError as error:
            raise failure_of(error, made.correlation_id) from None

    async def close(self) -> None:
        """Closes the channel; calls that still run are cancelled."""
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
