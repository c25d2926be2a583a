"""How a client's channel is set up: sizes, keepalive, TLS, balancing, and retries, on UNAVAILABLE, of what may be done twice.

Retries are left to gRPC itself (a service config with a retry policy, gRFC A6): it knows whether a call has left the
process, honours the deadline over all attempts, adds jitter to the exponential backoff, and stops retrying while most
calls fail. Calls go round all addresses of the target, so a retry finds another server than the one that drains.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

MODELS = "bertline.models.v1.ModelService"
IDEMPOTENT = (
    *("ListModels", "GetModel", "GetModelVersion", "LoadModelVersion", "UnloadModelVersion"),
    *("SetLabel", "SetTrafficSplit", "SetShadow"),
)
"""Calls of the model service that may be made twice. A second rollback would go one version further back, and a second
removal find nothing; whoever lost the answer to one has to look first."""

SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [
                {"service": "bertline.inference.v1.InferenceService"},
                *({"service": MODELS, "method": method} for method in IDEMPOTENT),
            ],
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

# grpc's types ask for one value type a sequence; each option has its own
OPTIONS: Any = [
    ("grpc.service_config", json.dumps(SERVICE_CONFIG)),
    ("grpc.enable_retries", 1),
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
    # a connection that died without a word is noticed while a call waits on it
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
        """Reads the files. Raises OSError."""
        ca = self.ca.read_bytes() if self.ca else None
        key = self.key.read_bytes() if self.key else None
        certificate = self.certificate.read_bytes() if self.certificate else None
        return grpc.ssl_channel_credentials(ca, key, certificate)


def blocking_channel(target: str, tls: ClientTls | None) -> grpc.Channel:
    """A channel for threads; connects at the first call."""
    if tls is None:
        return grpc.insecure_channel(target, OPTIONS)
    return grpc.secure_channel(target, tls.credentials(), OPTIONS)


def asyncio_channel(target: str, tls: ClientTls | None) -> grpc.aio.Channel:
    """The same for the running event loop."""
    if tls is None:
        return grpc.aio.insecure_channel(target, OPTIONS)
    return grpc.aio.secure_channel(target, tls.credentials(), OPTIONS)
