"""A real inference server inside the test's process, on a thread of its own, so that tests may call it and block."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from services.inference.assembly import InferenceServer
from services.inference.settings import InferenceSettings


@contextmanager
def running_server(settings: InferenceSettings) -> Iterator[str]:
    """Serves until the block ends; yields host:port."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="server", daemon=True)
    thread.start()
    try:
        start = InferenceServer.start(settings, serve_metrics=False)
        server = asyncio.run_coroutine_threadsafe(start, loop).result(60)
        try:
            yield f"127.0.0.1:{server.port}"
        finally:
            asyncio.run_coroutine_threadsafe(server.stop(5.0), loop).result(60)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
