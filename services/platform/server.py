"""Assembles a gRPC server as every service of ours has it: sizes, keepalive, TLS, health, reflection."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection


class ServerNotStarted(Exception):
    """The server cannot start as it is configured; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files. With `client_ca`, callers must present a certificate signed by it (mTLS)."""

    certificate: Path
    key: Path
    client_ca: Path | None = None


class Server:
    """A grpc.aio server with health and reflection. `grpc` is where services register themselves."""

    def __init__(self, max_message_bytes: int) -> None:
        self.grpc = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", max_message_bytes),
                ("grpc.max_send_message_length", max_message_bytes),
                # two servers on one port would share its calls by chance; better to fail at start
                ("grpc.so_reuseport", 0),
                ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
                ("grpc.keepalive_permit_without_calls", 1),
            ],
        )
        self.health = HealthServicer()
        self._services: list[str] = []
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self.grpc)

    def listen(self, host: str, port: int, tls: TlsFiles | None) -> int:
        """Binds; port 0 takes a free one. Returns the port. Raises ServerNotStarted."""
        address = f"{host}:{port}"
        try:
            bound = (
                self.grpc.add_secure_port(address, _credentials(tls)) if tls else self.grpc.add_insecure_port(address)
            )
        except RuntimeError:
            bound = 0
        if bound == 0:
            raise ServerNotStarted(f"cannot listen on {address}: is the port taken? Choose another with --port")
        return bound

    async def start(self, services: list[str]) -> None:
        """Begins to serve; `services` are the full names that health and reflection speak of."""
        self._services = services
        reflection.enable_server_reflection(
            [*services, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME], self.grpc
        )
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


def _credentials(tls: TlsFiles) -> grpc.ServerCredentials:
    try:
        pair = (tls.key.read_bytes(), tls.certificate.read_bytes())
        ca = tls.client_ca.read_bytes() if tls.client_ca else None
    except OSError as error:
        raise ServerNotStarted(f"TLS: cannot read {error.filename}: {error.strerror}") from None
    return grpc.ssl_server_credentials([pair], root_certificates=ca, require_client_auth=ca is not None)
