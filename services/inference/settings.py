"""Settings of the inference server: environment variables BERTLINE_*, or flags of the same names. Frozen, checked."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class InferenceSettings(BaseSettings):
    """Everything that can be configured."""

    model_config = SettingsConfigDict(env_prefix="BERTLINE_", frozen=True, extra="forbid")

    registry: str = "models"
    """Folder or fsspec URL of the model registry."""
    models: str = ""
    """Comma-separated `name`, `name@label` or `name:version`; empty: every labelled version in the registry."""
    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 for all interfaces."""
    port: int = Field(default=50051, ge=0, le=65535)
    """gRPC port; 0 takes a free one."""
    metrics_port: int = Field(default=9090, ge=0, le=65535)
    """Port of /metrics; 0 takes a free one."""
    device: Literal["cpu", "cuda"] = "cpu"
    """cuda that cannot be had is an error at start, never a fallback."""
    threads: int = Field(default=0, ge=0, le=1024)
    """CPU threads for inference; 0: one for each core this process may use."""
    max_batch_tokens: int = Field(default=0, ge=0)
    """Padded tokens in a batch; 0: 512 on the CPU (larger ones fall out of its caches), 16,384 on CUDA."""
    max_batch_texts: int = Field(default=0, ge=0)
    """Texts in a batch; 0: 8 on the CPU, 128 on CUDA."""
    max_queue_tokens: int = Field(default=65_536, ge=1)
    """Waiting tokens beyond which calls are refused with RESOURCE_EXHAUSTED."""
    max_queue_s: float = Field(default=2.0, gt=0)
    """Seconds of waiting work, by the measured rate, beyond which calls are refused; the lower of the two bounds counts."""
    cache_bytes: int = Field(default=0, ge=0)
    """Memory for answers to texts seen before, for each loaded version; 0: no cache."""
    max_texts_per_call: int = Field(default=256, ge=1)
    max_text_bytes: int = Field(default=100_000, ge=1)
    """UTF-8 bytes of one text; longer ones are refused before they are tokenized."""
    max_message_bytes: int = Field(default=16 * 1024 * 1024, ge=1024)
    drain_timeout_s: float = Field(default=30.0, ge=0)
    """How long running calls may take after SIGTERM."""
    log_style: Literal["json", "console"] = "json"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    """With it, callers must present a certificate signed by it (mTLS)."""

    @model_validator(mode="after")
    def _consistent(self) -> InferenceSettings:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together: give both or neither")
        if self.tls_client_ca is not None and self.tls_certificate is None:
            raise ValueError("tls_client_ca needs tls_certificate and tls_key")
        if self.max_queue_tokens < self.batch_tokens:
            raise ValueError(
                f"max_queue_tokens ({self.max_queue_tokens}) is below a single batch ({self.batch_tokens})"
            )
        return self

    @property
    def batch_tokens(self) -> int:
        """`max_batch_tokens`, resolved."""
        return self.max_batch_tokens or (16_384 if self.device == "cuda" else 512)

    @property
    def batch_texts(self) -> int:
        """`max_batch_texts`, resolved."""
        return self.max_batch_texts or (128 if self.device == "cuda" else 8)

    @property
    def cores(self) -> int:
        """`threads`, resolved."""
        return self.threads or len(os.sched_getaffinity(0))

    @property
    def workers(self) -> int:
        """Batches computed at once: one a core; on a GPU two, so that one is prepared while the other is computed."""
        return 2 if self.device == "cuda" else self.cores
