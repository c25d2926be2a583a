"""Settings of the inference server: flags, environment variables BERTLINE_*, or a file. Frozen, checked.

The docstring of a field is its help text; a `section` begins a group of flags in --help.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

MOST_TENSORRT_TEXTS = 128
"""Batches that TensorRT builds its engine for; a larger one would make it build anew, which takes minutes."""


PIN = r"([a-z0-9][a-z0-9._-]*=)?[a-z0-9][a-z0-9._-]*"
PINS = rf"^({PIN}(,{PIN})*)?$"


def _section(title: str) -> dict[str, Any]:
    return {"section": title}


class InferenceSettings(BaseSettings):
    """Everything that can be configured."""

    model_config = SettingsConfigDict(
        env_prefix="BERTLINE_", frozen=True, extra="forbid", use_attribute_docstrings=True
    )

    registry: str = Field(default="models", json_schema_extra=_section("Models"))
    """Folder or fsspec URL of the model registry."""
    models: str = ""
    """Comma-separated `name`, `name@label` or `name:version`; empty: every version that the registry points at."""
    trusted_keys: str = ""
    """Comma-separated public keys (.pub), or folders of them; with any, only bundles that one of them signed are loaded."""
    registry_poll_s: float = Field(default=5.0, ge=0)
    """How often the registry is looked at for changes that others made; 0: never."""
    host: str = Field(default="127.0.0.1", json_schema_extra=_section("Addresses"))
    """Address to listen on; 0.0.0.0 for all interfaces."""
    port: int = Field(default=50051, ge=0, le=65535)
    """gRPC port; 0 takes a free one."""
    metrics_port: int = Field(default=9090, ge=0, le=65535)
    """Port of /metrics; 0 takes a free one."""
    device: Literal["cpu", "cuda", "tensorrt"] = Field(default="cpu", json_schema_extra=_section("Processors"))
    """A device that cannot be had is an error at start, never a fallback."""
    device_id: int = Field(default=0, ge=0)
    """Which GPU."""
    gpu_memory_bytes: int = Field(default=0, ge=0)
    """Most that the memory arena of one session takes; 0: no bound."""
    gpu_arena: Literal["power_of_two", "as_requested"] = "power_of_two"
    """How that arena grows: in few large steps, or by what is needed, which wastes less where several programs share a GPU."""
    tensorrt_half: bool = True
    """TensorRT may compute in float16."""
    tuned_for: Literal["throughput", "latency"] = "throughput"
    """Which variant serves, of those measured to be the best on hosts like this one: that for load, or that for lone texts."""
    variant: str = Field(default="", pattern=PINS)
    """The variant to serve and no other, as int8-static, or for each model, as news=int8-static,topics=fp32; empty: the best."""
    calibration: Literal["auto", "always", "off"] = "auto"
    """auto: measured at load, unless this host has a record of it; always: measured; off: constants."""
    state_dir: Path | None = None
    """Folder for records of measurements and for TensorRT's engines; default: bertline in the user's cache folder."""
    threads: int = Field(default=0, ge=0, le=1024)
    """CPU threads for inference, of all processes together; 0: one for each core this server may use."""
    processes: int = Field(default=1, ge=1, le=256)
    """Processes that share the port and the cores; more than 1 from about 8 cores on, where one event loop is the limit."""
    worker_niceness: int = Field(default=10, ge=0, le=19)
    """How far computing yields to taking calls in where both want a core; 0 on a host where other programs would profit."""
    threads_per_run: int = Field(default=0, ge=0)
    """Of which each batch gets so many; 0: measured."""
    max_batch_tokens: int = Field(default=0, ge=0, json_schema_extra=_section("Batches, queue and cache"))
    """Padded tokens in a batch; 0: measured."""
    max_batch_texts: int = Field(default=0, ge=0)
    """Texts in a batch; 0: measured."""
    wide_from_tokens: int | None = Field(default=None, ge=0)
    """Shortest lone text that runs on all threads; 0: none does; not given: measured."""
    max_queue_tokens: int = Field(default=65_536, ge=1)
    """Waiting tokens beyond which calls are refused with RESOURCE_EXHAUSTED."""
    max_queue_s: float = Field(default=1.0, gt=0)
    """Seconds of waiting work, by the measured rate, beyond which calls are refused; the lower of the two bounds counts."""
    cache_bytes: int = Field(default=0, ge=0)
    """Memory for answers to texts seen before, for each loaded version; 0: no cache."""
    max_texts_per_call: int = Field(default=256, ge=1, json_schema_extra=_section("Calls and connections"))
    """Texts, pairs or candidates of one call; more are refused."""
    max_text_bytes: int = Field(default=100_000, ge=1)
    """UTF-8 bytes of one text; longer ones are refused before they are tokenized."""
    max_message_bytes: int = Field(default=16 * 1024 * 1024, ge=1024)
    """Size of one gRPC message, either way."""
    max_connection_age_s: float = Field(default=0, ge=0)
    """Connections are closed after so long, give or take a tenth, so that callers who balance meet new servers; 0: never."""
    max_connection_age_grace_s: float = Field(default=30.0, gt=0)
    """How long the calls of a connection that reached its age may still take; streams are cut then."""
    max_connection_idle_s: float = Field(default=0, ge=0)
    """Connections without a call are closed after so long; 0: never."""
    keepalive_s: float = Field(default=60.0, ge=10)
    """How often a silent connection is pinged, so that dead ones are noticed and middle boxes keep it open."""
    keepalive_timeout_s: float = Field(default=20.0, gt=0)
    """A connection whose ping is not answered for so long is closed."""
    drain_timeout_s: float = Field(default=30.0, ge=0)
    """How long running calls may take after SIGTERM."""
    drain_linger_s: float = Field(default=0.3, ge=0)
    """How long a drained server still answers UNAVAILABLE before it closes its port; longer than balancers' health checks."""
    log_style: Literal["json", "console"] = Field(
        default="json", json_schema_extra=_section("Logs, traces, inspection")
    )
    """JSON objects for machines, or lines for people."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Less severe lines are left out."""
    access_log: bool = False
    """One line for every call, not only for failed ones."""
    otlp_endpoint: str | None = None
    """OTLP/gRPC collector that gets traces, as in http://127.0.0.1:4317; needs the extra `telemetry`."""
    trace_ratio: float = Field(default=0.01, ge=0, le=1)
    """Share of calls that are traced where the caller does not say; a caller's sampled traceparent always is."""
    channelz: bool = False
    """Serve grpc.channelz.v1, which shows connections and their traffic to anyone who can call."""
    tls_certificate: Path | None = Field(default=None, json_schema_extra=_section("TLS"))
    """PEM file with the server's certificate, then its issuers'. Read anew when it changes."""
    tls_key: Path | None = None
    """PEM file with the certificate's key. Read anew when it changes."""
    tls_client_ca: Path | None = None
    """With it, callers must present a certificate signed by it (mTLS)."""

    @model_validator(mode="after")
    def _consistent(self) -> InferenceSettings:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together: give both or neither")
        if self.processes > 1 and self.device != "cpu":
            raise ValueError("processes share CPU cores; a GPU is used well by one: leave processes at 1")
        if self.tls_client_ca is not None and self.tls_certificate is None:
            raise ValueError("tls_client_ca needs tls_certificate and tls_key")
        if self.max_queue_tokens < self.max_batch_tokens:
            raise ValueError(
                f"max_queue_tokens ({self.max_queue_tokens}) is below a single batch ({self.max_batch_tokens})"
            )
        if self.device == "cpu" and self.threads_per_run > self.cores:
            raise ValueError(f"threads_per_run ({self.threads_per_run}) is more than there are threads ({self.cores})")
        if self.device == "tensorrt" and self.max_batch_texts > MOST_TENSORRT_TEXTS:
            raise ValueError(f"max_batch_texts ({self.max_batch_texts}) is above {MOST_TENSORRT_TEXTS} on tensorrt")
        return self

    def pinned_variant(self, model: str) -> str | None:
        """The variant that `variant` names for a model."""
        pins = [entry.rpartition("=") for entry in self.variant.split(",")]
        known = {name: variant for name, _, variant in pins}
        return known.get(model) or known.get("") or None

    @property
    def trusted(self) -> tuple[Path, ...]:
        """`trusted_keys`, apart; empty where every bundle is trusted."""
        return tuple(Path(part.strip()) for part in self.trusted_keys.split(",") if part.strip())

    @property
    def state(self) -> Path:
        """`state_dir`, resolved."""
        if self.state_dir is not None:
            return self.state_dir
        cache = os.environ.get("XDG_CACHE_HOME", "")
        return (Path(cache) if cache else Path("~/.cache").expanduser()) / "bertline"

    @property
    def cores(self) -> int:
        """`threads`, resolved."""
        return self.threads or len(os.sched_getaffinity(0))

    @property
    def workers(self) -> int:
        """Batches computed at once: one a core; on a GPU two, so that one is prepared while the other is computed."""
        return self.cores if self.device == "cpu" else 2
