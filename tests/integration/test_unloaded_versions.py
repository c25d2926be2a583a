"""What is left of a version that was unloaded: nothing."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path
from typing import Any

import grpc
from bertline.inference.v1 import inference_pb2 as pb
from bertline.inference.v1 import inference_pb2_grpc

from export.registry import Registry
from services.inference.assembly import InferenceServer
from services.inference.scheduling.lane import Lane
from services.inference.settings import InferenceSettings
from tests.fakes.tiny_bundle import publish_tiny


async def test_the_weights_of_an_unloaded_version_are_freed_however_its_calls_ended(tmp_path: Path) -> None:
    others = len(_lanes())
    publish_tiny(tmp_path, work=200)
    publish_tiny(tmp_path, work=200, label=None)
    settings = InferenceSettings(registry=str(tmp_path), port=0, registry_poll_s=0.05)
    server = await InferenceServer.start(settings, serve_metrics=False)
    gc.disable()  # memory that waits for a collection by chance may wait for long
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            stub: Any = inference_pb2_grpc.InferenceServiceStub(channel)
            for version in (2, 1, 2):
                calls = [_answered(stub), _late(stub), _of_another_task(stub), _given_up(stub)]
                await asyncio.gather(*calls, return_exceptions=True)
                Registry(str(tmp_path)).set_label("tiny", "stable", version)
                while [model.version for model in server.models.loaded()] != [version] or len(_lanes()) > others + 1:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
    finally:
        gc.enable()
        await server.stop(1.0)


def _lanes() -> list[Lane]:
    # not isinstance: it looks at an attribute of whatever other tests left in memory
    return [each for each in gc.get_objects() if type(each) is Lane]


def _request(word: str) -> pb.ClassifyRequest:
    return pb.ClassifyRequest(inputs=[pb.TextInput(text=f"bank {word}")])


async def _answered(stub: Any) -> None:
    await stub.Classify(_request("rate"), timeout=10.0)


async def _late(stub: Any) -> None:
    await stub.Classify(_request("shares"), timeout=0.003)


async def _of_another_task(stub: Any) -> None:
    await stub.Embed(pb.EmbedRequest(inputs=[pb.TextInput(text="bank")]), timeout=10.0)


async def _given_up(stub: Any) -> None:
    call = stub.Classify(_request("profit"), timeout=10.0)
    await asyncio.sleep(0.003)
    call.cancel()
    await call
