"""Registers servicers so that bytes which are no message of the call's kind are answered as every other bad input is.

gRPC itself would end such a call with UNKNOWN, without ErrorInfo, correlation id or metrics, and log each as an error of ours.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NoReturn, cast

import grpc
from google.protobuf.message import DecodeError

from services.inference.calls import Calls, Context
from services.platform.failures import InvalidInput

Behaviour = Callable[[Any, Context], Awaitable[Any]]
MALFORMED = object()
"""Stands for a message that cannot be parsed, between the deserializer and the servicer."""


def registration(server: grpc.aio.Server, calls: Calls) -> grpc.aio.Server:
    """What generated `add_..._to_server` functions are to be given in place of a server."""
    return cast(grpc.aio.Server, _Registration(server, calls))


class _Registration:
    """As much of a server as generated code asks for. Streams are looked after by `Calls.stream`."""

    def __init__(self, server: grpc.aio.Server, calls: Calls) -> None:
        self._server = server
        self._calls = calls

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Nothing: the same handlers come by name, too."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """The handlers of a service, by the names of its methods."""
        checked = {name: self._checked(name, handler) for name, handler in handlers.items()}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, checked),))
        self._server.add_registered_method_handlers(service, checked)

    def _checked(self, rpc: str, handler: Any) -> Any:
        if handler.unary_unary is None:
            return handler
        parse, behaviour = handler.request_deserializer, handler.unary_unary

        def read(data: bytes) -> Any:
            try:
                return parse(data)
            except DecodeError:
                return MALFORMED

        async def answer(request: Any, context: Context) -> Any:
            if request is MALFORMED:
                return await self._calls.answer(rpc, "", context, _refuse)
            return await behaviour(request, context)

        return grpc.unary_unary_rpc_method_handler(answer, read, handler.response_serializer)


async def _refuse(_: float | None) -> NoReturn:
    raise InvalidInput("the message is malformed: its bytes are no message of this call", "", "MALFORMED_MESSAGE")
