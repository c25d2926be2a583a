"""Prometheus metrics of the inference path, served over HTTP at /metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

SECONDS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ROWS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128)
TOKENS = (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)


class Metrics:
    """All metrics of one server, in a registry of their own (so that tests do not share state)."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        model = ("model", "version")
        self.calls = Counter("bertline_calls", "Finished calls.", ("rpc", "model", "code"), registry=self.registry)
        self.call_seconds = Histogram(
            "bertline_call_seconds",
            "Server-side duration of calls.",
            ("rpc", "model"),
            buckets=SECONDS,
            registry=self.registry,
        )
        self.queue_texts = Gauge("bertline_queue_texts", "Texts waiting for a session.", model, registry=self.registry)
        self.queue_tokens = Gauge(
            "bertline_queue_tokens", "Tokens waiting for a session.", model, registry=self.registry
        )
        self.dropped = Counter(
            "bertline_dropped_texts", "Texts dropped before compute.", (*model, "reason"), registry=self.registry
        )
        self.coalesced = Counter(
            "bertline_coalesced_texts", "Texts that joined equal ones in flight.", model, registry=self.registry
        )
        self.batch_rows = Histogram(
            "bertline_batch_texts", "Texts a batch.", model, buckets=ROWS, registry=self.registry
        )
        self.batch_tokens = Histogram(
            "bertline_batch_tokens", "Padded tokens a batch.", model, buckets=TOKENS, registry=self.registry
        )
        self.padding = Counter(
            "bertline_padding_tokens", "Tokens computed only to fill a batch.", model, registry=self.registry
        )
        self.inference_seconds = Histogram(
            "bertline_inference_seconds",
            "Duration of a batch in ONNX Runtime.",
            (*model, "session"),
            buckets=SECONDS,
            registry=self.registry,
        )
        self.variants_refused = Counter(
            "bertline_variants_refused",
            "Variants whose golden answers are wrong on this host.",
            ("model", "variant"),
            registry=self.registry,
        )

    def serve(self, host: str, port: int) -> int:
        """Starts the HTTP endpoint on a thread; port 0 takes a free one. Returns the port."""
        server, _ = start_http_server(port, host, registry=self.registry)
        return int(server.server_port)
