"""When to stop: waits for SIGTERM or SIGINT, or for the end of the parent process, then drains once."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable


def end_at_once() -> None:
    """Ends the process without ceremony."""
    os._exit(1)


async def stop_signal(parent: int | None = None, again: Callable[[], None] = end_at_once) -> str:
    """Waits for the first SIGTERM or SIGINT and names it. A second signal calls `again`.

    `parent` is the reading end of a pipe that the parent process holds open; its end counts as a signal, too, so that no
    process serves on whom nobody watches.
    """
    loop = asyncio.get_running_loop()
    received: asyncio.Future[str] = loop.create_future()

    def receive(name: str) -> None:
        if received.done():
            again()
        else:
            received.set_result(name)

    def listen(descriptor: int) -> None:
        if not os.read(descriptor, 4096):
            loop.remove_reader(descriptor)
            if not received.done():
                received.set_result("end of the parent")

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, receive, number.name)
    if parent is not None:
        loop.add_reader(parent, listen, parent)
    return await received
