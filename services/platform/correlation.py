"""The correlation id: one word that a caller, a reply and a log line share."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable

KEY = "x-correlation-id"
ALLOWED = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")


def correlation_id(metadata: Iterable[tuple[str, str | bytes]] | None) -> str:
    """The caller's own id, if it sent a sane one, else a new one of 16 hexadecimal digits."""
    for key, value in metadata or ():
        if key == KEY and isinstance(value, str) and ALLOWED.fullmatch(value):
            return value
    return secrets.token_hex(8)
