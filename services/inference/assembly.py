"""Wires an inference server from its settings."""

from __future__ import annotations

import asyncio
import gc
import time

import structlog
import uvloop

from services.inference import open_inference, servicer
from services.inference.calls import Calls
from services.inference.models import Models, load_models
from services.inference.pipeline import Pipeline
from services.inference.scheduling.scheduler import Scheduler
from services.inference.session import preload_cuda
from services.inference.settings import InferenceSettings
from services.platform.lifecycle import stop_signal
from services.platform.metrics import Metrics
from services.platform.server import Server, ServerNotStarted, TlsFiles

LINGER_S = 0.3
GRACE_S = 0.5

log = structlog.get_logger()


class InferenceServer:
    """A running server. `port` and `metrics_port` are those it listens on."""

    def __init__(
        self, server: Server, calls: Calls, models: Models, scheduler: Scheduler, port: int, metrics_port: int
    ) -> None:
        self.models = models
        self.scheduler = scheduler
        self.port = port
        self.metrics_port = metrics_port
        self._server = server
        self._calls = calls

    @classmethod
    async def start(cls, settings: InferenceSettings, serve_metrics: bool = True) -> InferenceServer:
        """Loads the models, binds the ports, begins to serve.

        Raises NothingLoaded, DeviceUnavailable or ServerNotStarted, each with what to do.
        """
        metrics = Metrics()
        if settings.device == "cuda":
            preload_cuda()
        server = Server(settings.max_message_bytes)
        tls = None
        if settings.tls_certificate is not None and settings.tls_key is not None:
            tls = TlsFiles(settings.tls_certificate, settings.tls_key, settings.tls_client_ca)
        port = server.listen(settings.host, settings.port, tls)
        scheduler = Scheduler(settings.workers)
        models = load_models(settings, scheduler, metrics)
        pipeline = Pipeline(models, settings)
        calls = Calls(metrics)
        services = [
            servicer.register(server.grpc, pipeline, calls),
            open_inference.register(server.grpc, pipeline, models, settings, calls),
        ]
        metrics_port = _serve_metrics(metrics, settings) if serve_metrics else 0
        await server.start(services)
        return cls(server, calls, models, scheduler, port, metrics_port)

    async def stop(self, drain_timeout_s: float) -> None:
        """Drains: health first, then no new calls, then the running ones; at last the models' workers."""
        await self._server.announce_drain()
        await self._calls.drain(drain_timeout_s)
        # callers who have not heard yet are answered UNAVAILABLE, which a retry mends; a closed port cancels them
        await asyncio.sleep(LINGER_S)
        await self._server.stop(GRACE_S)
        await self.scheduler.close()


def _serve_metrics(metrics: Metrics, settings: InferenceSettings) -> int:
    try:
        return metrics.serve(settings.host, settings.metrics_port)
    except OSError:
        raise ServerNotStarted(
            f"cannot serve metrics on {settings.host}:{settings.metrics_port}: choose another with --metrics-port"
        ) from None


async def serve(settings: InferenceSettings) -> None:
    """Serves until SIGTERM or SIGINT, then drains."""
    begun = time.monotonic()
    server = await InferenceServer.start(settings)
    # modules and models live until the end; looking through them in every full collection stopped all callers for 25 ms
    gc.collect()
    gc.freeze()
    log.info(
        "serving",
        host=settings.host,
        port=server.port,
        metrics_port=server.metrics_port,
        device=settings.device,
        threads=settings.cores,
        startup_s=round(time.monotonic() - begun, 3),
        models=[f"{model.name}:{model.version}" for model in server.models.loaded()],
    )
    reason = await stop_signal()
    log.info("draining", signal=reason, timeout_s=settings.drain_timeout_s)
    await server.stop(settings.drain_timeout_s)
    log.info("stopped")


def run(settings: InferenceSettings) -> None:
    """Blocks until the server has stopped."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings))
