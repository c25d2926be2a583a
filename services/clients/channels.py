"""How a client's channel is set up: sizes, keepalive, TLS, and retries on UNAVAILABLE alone.

Retries are left to gRPC itself (a service config with a retry policy, gRFC A6): it knows whether a call has left the
process, honours the deadline over all attempts and throttles when most calls fail.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import grpc

RETRIES = {
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.1s",
                "maxBackoff": "2s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
    "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
}

OPTIONS: list[tuple[str, str | int]] = [
    ("grpc.service_config", json.dumps(RETRIES)),
    ("grpc.enable_retries", 1),
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
]


@dataclass(frozen=True, slots=True)
class ClientTls:
    """PEM files; without `ca`, the system's roots. Certificate and key are for mTLS."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        """Reads the files."""
        ca = self.ca.read_bytes() if self.ca else None
        key = self.key.read_bytes() if self.key else None
        certificate = self.certificate.read_bytes() if self.certificate else None
        return grpc.ssl_channel_credentials(ca, key, certificate)
