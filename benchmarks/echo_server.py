"""A server of the inference contract with nothing behind it: the floor under every Python gRPC server."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import grpc
from bertline.inference.v1 import inference_pb2 as pb

from benchmarks.messages import PATH
from benchmarks.server_process import HEALTH_PATH, SERVING

Kind = Literal["aio-bytes", "aio", "threads"]
KINDS: tuple[Kind, ...] = ("aio-bytes", "aio", "threads")
THREADS = 16


def reply(request: pb.ClassifyRequest) -> pb.ClassifyResponse:
    """The same answer to every text."""
    classification = pb.Classification(labels=[pb.LabelScore(label="echo", probability=0.5)], token_count=12)
    return pb.ClassifyResponse(
        results=[pb.ClassifyResult(classification=classification)] * len(request.inputs),
        model=pb.ModelInfo(name="echo", version=1, variant="none"),
        timings=pb.Timings(tokenization_us=80, queue_us=2_000, inference_us=5_000, total_us=7_300),
    )


READY = reply(pb.ClassifyRequest(inputs=[pb.TextInput()])).SerializeToString()


async def _answer(message: pb.ClassifyRequest, _context: Any) -> pb.ClassifyResponse:
    return reply(message)


async def _answer_bytes(_message: bytes, _context: Any) -> bytes:
    return READY


async def _healthy(_message: bytes, _context: Any) -> bytes:
    return SERVING


def serve(kind: Kind, port: int) -> None:
    """Serves until the process ends. `aio-bytes` leaves protobuf out, `threads` is the blocking server."""
    if kind == "threads":
        server = grpc.server(ThreadPoolExecutor(THREADS))
        health: Any = grpc.unary_unary_rpc_method_handler(lambda _message, _context: SERVING)
        answer = _parsed(lambda message, _context: reply(message))
        server.add_generic_rpc_handlers((_handlers(health, answer),))
        server.add_insecure_port(f"127.0.0.1:{port}")
        server.start()
        server.wait_for_termination()
    else:
        asyncio.run(_serve(kind, port))


async def _serve(kind: Kind, port: int) -> None:
    server = grpc.aio.server()
    answer = _parsed(_answer) if kind == "aio" else grpc.unary_unary_rpc_method_handler(_answer_bytes)
    server.add_generic_rpc_handlers((_handlers(grpc.unary_unary_rpc_method_handler(_healthy), answer),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


def _parsed(behaviour: Any) -> Any:
    return grpc.unary_unary_rpc_method_handler(
        behaviour, pb.ClassifyRequest.FromString, pb.ClassifyResponse.SerializeToString
    )


class _Handlers(grpc.GenericRpcHandler):
    """Looks methods up by path."""

    def __init__(self, methods: dict[str, Any]) -> None:
        self._methods = methods

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        return self._methods.get(handler_call_details.method)


def _handlers(health: Any, answer: Any) -> _Handlers:
    return _Handlers({HEALTH_PATH: health, PATH: answer})
