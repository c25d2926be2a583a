"""Wires an inference server from its settings."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
import uvloop

from export.choices import HostChoice
from export.failures import BadKey, MalformedBundle
from export.manifest import Manifest
from export.registry import Registry
from export.signing import TrustedKeys
from services.inference.administration import ModelAdministration
from services.inference.calls import Calls
from services.inference.execution.session import preload_cuda
from services.inference.loading import LoadedModel, load, open_trusted
from services.inference.metrics import Metrics
from services.inference.pipeline import Pipeline
from services.inference.reporting import Reporting
from services.inference.scheduling.scheduler import Scheduler, thread_workers
from services.inference.settings import InferenceSettings
from services.inference.shadowing import Shadowing
from services.inference.versions.desired import Following
from services.inference.versions.holdings import Holdings
from services.inference.versions.models import Models
from services.inference.versions.reconciliation import Reconciler
from services.inference.wires import model_servicer, open_inference, servicer
from services.platform.exposition import expose
from services.platform.lifecycle import stop_signal
from services.platform.logs import shape
from services.platform.memory import return_large_blocks
from services.platform.server import Connections, Server, ServerNotStarted
from services.platform.telemetry import Tracing
from services.platform.tls import TlsFiles

SERVICE = "bertline-inference"
"""What traces call this service."""
LINGER_S = 0.3
GRACE_S = 0.5

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Membership:
    """Where this server is one of several processes: the parent's pipe, and how to tell it that this one serves."""

    parent: int
    ready: Callable[[dict[str, Any]], None]


class InferenceServer:
    """A running server. `port` and `metrics_port` are those it listens on."""

    def __init__(
        self,
        server: Server,
        calls: Calls,
        models: Models,
        reconciler: Reconciler,
        shadowing: Shadowing,
        scheduler: Scheduler,
        port: int,
        metrics_port: int,
    ) -> None:
        self.models = models
        self.scheduler = scheduler
        self.port = port
        self.metrics_port = metrics_port
        self._server = server
        self._calls = calls
        self._reconciler = reconciler
        self._shadowing = shadowing

    @classmethod
    async def start(
        cls, settings: InferenceSettings, serve_metrics: bool = True, shared_port: bool = False
    ) -> InferenceServer:
        """Loads the models, binds the ports, begins to serve.

        `shared_port`: other processes of the same server listen there, too. Raises NothingLoaded, DeviceUnavailable or
        ServerNotStarted, each with what to do.
        """
        metrics = Metrics()
        if settings.device != "cpu":
            preload_cuda()
        server = Server(_connections(settings, shared_port), settings.channelz)
        tls = None
        if settings.tls_certificate is not None and settings.tls_key is not None:
            tls = TlsFiles(settings.tls_certificate, settings.tls_key, settings.tls_client_ca)
        port = 0 if shared_port else server.listen(settings.host, settings.port, tls)
        scheduler = Scheduler(settings.workers, make_worker=thread_workers(settings.worker_niceness))
        models = Models()
        pipeline = Pipeline(models, settings)
        reconciler = _reconciler(models, settings, scheduler, metrics)
        shadowing = Shadowing(pipeline, models, metrics)
        pipeline.answered = shadowing.answered
        await reconciler.start(settings.registry_poll_s)
        tracing = Tracing(settings.otlp_endpoint, settings.trace_ratio, SERVICE) if settings.otlp_endpoint else None
        calls = Calls(Reporting(metrics, tracing, settings.access_log))
        services = [
            servicer.register(server.grpc, pipeline, calls),
            open_inference.register(server.grpc, pipeline, models, reconciler, settings, calls),
            model_servicer.register(server.grpc, ModelAdministration(reconciler, shadowing), calls),
        ]
        metrics_port = expose(metrics.registry, settings.host, settings.metrics_port) if serve_metrics else 0
        if shared_port:
            # from now on the kernel gives this process its share of new connections, which must not wait for models
            port = server.listen(settings.host, settings.port, tls)
        await server.start(services)
        return cls(server, calls, models, reconciler, shadowing, scheduler, port, metrics_port)

    async def stop(self, drain_timeout_s: float, linger_s: float = LINGER_S) -> None:
        """Drains: health first, then no new calls, then the running ones; at last the models' workers."""
        self._reconciler.rest()
        await self._server.announce_drain()
        await self._shadowing.stop()
        await self._calls.drain(drain_timeout_s)
        await self._reconciler.stop()
        # callers who have not heard yet are answered UNAVAILABLE, which a retry mends; a closed port cancels them
        await asyncio.sleep(linger_s)
        await self._server.stop(GRACE_S)
        await self.scheduler.close()
        await self._calls.close()


def _reconciler(models: Models, settings: InferenceSettings, scheduler: Scheduler, metrics: Metrics) -> Reconciler:
    registry = Registry(settings.registry, trusted=_trusted(settings))

    def load_version(name: str, version: int) -> LoadedModel:
        bundle = open_trusted(registry, name, version, metrics)
        return load(bundle, settings, scheduler, metrics, _choices(registry, bundle.manifest))

    return Reconciler(Following(registry, settings.models), Holdings(load_version, metrics), models, metrics)


def _trusted(settings: InferenceSettings) -> TrustedKeys | None:
    """Whose signature bundles need; None where they need none."""
    if not settings.trusted:
        return None
    keys = TrustedKeys(settings.trusted)
    try:
        known = keys.read()
    except BadKey as error:
        raise ServerNotStarted(f"trusted_keys: {error}") from None
    log.info("signatures required", keys=sorted(known))
    return keys


def _choices(registry: Registry, manifest: Manifest) -> list[HostChoice]:
    """Those of the registry; of a spoiled file, which is no reason not to serve, those of the manifest."""
    try:
        return registry.choices(manifest)
    except MalformedBundle as error:
        log.warning("choices not read", model=manifest.name, version=manifest.version, why=str(error))
        return manifest.choices


def _connections(settings: InferenceSettings, shared_port: bool) -> Connections:
    return Connections(
        max_message_bytes=settings.max_message_bytes,
        max_age_s=settings.max_connection_age_s,
        max_age_grace_s=settings.max_connection_age_grace_s,
        max_idle_s=settings.max_connection_idle_s,
        keepalive_s=settings.keepalive_s,
        keepalive_timeout_s=settings.keepalive_timeout_s,
        shared_port=shared_port,
    )


def _loop_failed(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """asyncio would log the exception with its message."""
    error = context.get("exception")
    log.error("event loop", what=context.get("message", ""), error=shape(error) if error is not None else None)


async def serve(settings: InferenceSettings, membership: Membership | None = None) -> None:
    """Serves until SIGTERM or SIGINT, then drains."""
    begun = time.monotonic()
    asyncio.get_running_loop().set_exception_handler(_loop_failed)
    member = membership is not None
    server = await InferenceServer.start(settings, serve_metrics=not member, shared_port=member)
    # modules and models live until the end; looking through them in every full collection stopped all callers for 25 ms
    gc.collect()
    gc.freeze()
    # whoever reads that it serves may stop it at once
    stopping = asyncio.create_task(stop_signal(None if membership is None else membership.parent))
    await asyncio.sleep(0)
    log.info(
        "process serving" if member else "serving",
        host=settings.host,
        port=server.port,
        metrics_port=server.metrics_port,
        device=settings.device,
        threads=settings.cores,
        startup_s=round(time.monotonic() - begun, 3),
        models=(models := [f"{model.name}:{model.version}" for model in server.models.loaded()]),
    )
    if membership is not None:
        membership.ready({"models": models})
    reason = await stopping
    log.info("draining", signal=reason, timeout_s=settings.drain_timeout_s)
    await server.stop(settings.drain_timeout_s, settings.drain_linger_s)
    log.info("stopped")


def run(settings: InferenceSettings, membership: Membership | None = None) -> None:
    """Blocks until the server has stopped."""
    return_large_blocks()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings, membership))
