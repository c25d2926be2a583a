"""Assembles a gRPC server as every service of ours has it: sizes, connections, TLS, health, reflection, channelz."""

from __future__ import annotations

from dataclasses import dataclass

import grpc
from grpc_channelz.v1 import channelz, channelz_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection

from services.platform.tls import BrokenCertificate, Certificates, TlsFiles


class ServerNotStarted(Exception):
    """The server cannot start as it is configured; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Connections:
    """How connections are kept and ended; an age or idleness of 0 seconds means for ever."""

    max_message_bytes: int
    max_age_s: float = 0.0
    max_age_grace_s: float = 30.0
    max_idle_s: float = 0.0
    keepalive_s: float = 60.0
    keepalive_timeout_s: float = 20.0
    shared_port: bool = False
    """Other processes of the same server listen on the port, too (see `ports`)."""

    def options(self) -> list[tuple[str, int]]:
        """As gRPC calls them."""
        options = [
            ("grpc.max_receive_message_length", self.max_message_bytes),
            ("grpc.max_send_message_length", self.max_message_bytes),
            # two servers on one port would share its calls by chance; better to fail at start
            ("grpc.so_reuseport", int(self.shared_port)),
            ("grpc.keepalive_time_ms", _ms(self.keepalive_s)),
            ("grpc.keepalive_timeout_ms", _ms(self.keepalive_timeout_s)),
            # callers, too, may ping silent connections, this often
            ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
            ("grpc.keepalive_permit_without_calls", 1),
        ]
        if self.max_age_s:
            options.append(("grpc.max_connection_age_ms", _ms(self.max_age_s)))
            options.append(("grpc.max_connection_age_grace_ms", _ms(self.max_age_grace_s)))
        if self.max_idle_s:
            options.append(("grpc.max_connection_idle_ms", _ms(self.max_idle_s)))
        return options


class Server:
    """A grpc.aio server with health and reflection. `grpc` is where services register themselves."""

    def __init__(self, connections: Connections, inspectable: bool = False) -> None:
        """`inspectable` adds channelz: what connections there are and what went over them."""
        self.grpc = grpc.aio.server(options=[*connections.options(), ("grpc.enable_channelz", int(inspectable))])
        self.health = HealthServicer()
        self._services: list[str] = []
        self._own = [health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME]
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self.grpc)
        if inspectable:
            channelz.add_channelz_servicer(self.grpc)
            self._own.append(channelz_pb2.DESCRIPTOR.services_by_name["Channelz"].full_name)

    def listen(self, host: str, port: int, tls: TlsFiles | None) -> int:
        """Binds; port 0 takes a free one. Returns the port. Raises ServerNotStarted."""
        address = f"{host}:{port}"
        try:
            bound = (
                self.grpc.add_secure_port(address, Certificates(tls).credentials())
                if tls
                else self.grpc.add_insecure_port(address)
            )
        except BrokenCertificate as error:
            raise ServerNotStarted(f"TLS: {error}") from None
        except RuntimeError:
            bound = 0
        if bound == 0:
            raise ServerNotStarted(f"cannot listen on {address}: is the port taken? Choose another with --port")
        return bound

    async def start(self, services: list[str]) -> None:
        """Begins to serve; `services` are the full names that health and reflection speak of."""
        self._services = services
        reflection.enable_server_reflection([*services, *self._own], self.grpc)
        await self.grpc.start()
        await self._set(health_pb2.HealthCheckResponse.SERVING)

    async def announce_drain(self) -> None:
        """Turns health to NOT_SERVING, for good: watchers and load balancers look elsewhere."""
        await self._set(health_pb2.HealthCheckResponse.NOT_SERVING)
        await self.health.enter_graceful_shutdown()

    async def stop(self, grace_s: float) -> None:
        """Closes the ports; calls that still run have the grace period."""
        await self.grpc.stop(grace_s)

    async def _set(self, status: health_pb2.HealthCheckResponse.ServingStatus.ValueType) -> None:
        for service in ("", *self._services):
            await self.health.set(service, status)


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
