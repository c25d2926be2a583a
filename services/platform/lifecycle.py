"""When to stop: waits for SIGTERM or SIGINT, then drains once."""

from __future__ import annotations

import asyncio
import os
import signal


async def stop_signal() -> str:
    """Waits for the first SIGTERM or SIGINT and names it. A second signal ends the process at once."""
    loop = asyncio.get_running_loop()
    received: asyncio.Future[str] = loop.create_future()

    def receive(name: str) -> None:
        if received.done():
            os._exit(1)
        received.set_result(name)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, receive, number.name)
    return await received
