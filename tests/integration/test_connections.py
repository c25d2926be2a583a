"""How a server keeps, ends and shows connections."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from bertline.inference.v1 import inference_pb2 as pb
from bertline.inference.v1 import inference_pb2_grpc
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from services.inference.settings import InferenceSettings
from tests.fakes.running_server import running_server
from tests.fakes.tiny_bundle import publish_tiny


@contextmanager
def server(folder: Path, **settings: float | bool) -> Iterator[grpc.Channel]:
    """A channel to a server, of its own, so that its connections are those of the test."""
    publish_tiny(folder)
    with (
        running_server(InferenceSettings(registry=str(folder), port=0, **settings)) as address,  # type: ignore[arg-type]
        grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel,
    ):
        yield channel


def peer_ended(channel: grpc.Channel) -> Callable[[], bool]:
    """Calls once; what is returned waits until the connection of that call is gone."""
    states: queue.SimpleQueue[grpc.ChannelConnectivity] = queue.SimpleQueue()
    channel.subscribe(states.put)
    classify(channel)

    def ended() -> bool:
        seen_ready = False
        while True:
            state = states.get(timeout=30)
            seen_ready = seen_ready or state is grpc.ChannelConnectivity.READY
            if seen_ready and state is grpc.ChannelConnectivity.IDLE:
                return True

    return ended


def classify(channel: grpc.Channel) -> pb.ClassifyResponse:
    request = pb.ClassifyRequest(inputs=[pb.TextInput(text="bank")])
    response: pb.ClassifyResponse = inference_pb2_grpc.InferenceServiceStub(channel).Classify(request, timeout=10)
    return response


def services_of(channel: grpc.Channel) -> set[str]:
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    (answer,) = stub.ServerReflectionInfo(iter([request]), timeout=10)
    return {each.name for each in answer.list_services_response.service}


def test_a_connection_that_reached_its_age_is_replaced_without_a_failed_call(tmp_path: Path) -> None:
    with server(tmp_path, max_connection_age_s=0.3) as channel:
        ended = peer_ended(channel)
        assert ended()
        assert classify(channel).results


def test_a_connection_without_calls_is_closed(tmp_path: Path) -> None:
    with server(tmp_path, max_connection_idle_s=0.3) as channel:
        ended = peer_ended(channel)
        assert ended()
        assert classify(channel).results


def test_channelz_shows_the_servers_traffic_when_it_is_asked_for(tmp_path: Path) -> None:
    with server(tmp_path, channelz=True) as channel:
        classify(channel)
        servers = channelz_pb2_grpc.ChannelzStub(channel).GetServers(channelz_pb2.GetServersRequest(), timeout=10)
        assert any(each.data.calls_succeeded for each in servers.server)
        assert "grpc.channelz.v1.Channelz" in services_of(channel)


def test_channelz_is_off_by_default(tmp_path: Path) -> None:
    with server(tmp_path) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            channelz_pb2_grpc.ChannelzStub(channel).GetServers(channelz_pb2.GetServersRequest(), timeout=10)
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert "grpc.channelz.v1.Channelz" not in services_of(channel)
