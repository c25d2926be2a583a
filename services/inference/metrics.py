"""Prometheus metrics of an inference server. Their names are a contract: dashboards and alerts use them.

Labels are bounded: rpc and code come from the contracts, model and version from what is loaded, never from a caller.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SECONDS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ROWS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128)
TOKENS = (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)
LENGTHS = (
    *(
        4,
        6,
        8,
        10,
        12,
        14,
        16,
        20,
        24,
        28,
        32,
        40,
        48,
        56,
        64,
        80,
        96,
        112,
        128,
        160,
        192,
        224,
        256,
        320,
        384,
        448,
        512,
    ),
    *(768, 1024, 2048, 4096, 8192),
)
"""Tokens a text, close to one another where most texts are: `export tune` measures for them."""
MODEL = ("model", "version")
PREFIX = "bertline_inference_"


class ModelInfo(NamedTuple):
    """What `bertline_inference_model_info` says of a loaded version; `labels` as "canary,stable"."""

    model: str
    version: str
    variant: str
    labels: str


class Metrics:
    """All metrics of one server, in a registry of their own (so that tests do not share state)."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = self._counter("requests", "Finished calls, and messages of streams.", ("rpc", "model", "code"))
        self.request_seconds = self._seconds("request_seconds", "Server-side duration of calls.", ("rpc", "model"))
        self.queue_seconds = self._seconds("queue_seconds", "How long the slowest text of a call waited.", MODEL)
        self.queue_texts = self._gauge("queue_texts", "Texts waiting for a worker.", MODEL)
        self.queue_tokens = self._gauge("queue_tokens", "Tokens waiting for a worker.", MODEL)
        self.dropped = self._counter(
            "dropped_texts", "Texts that left before compute: expired, cancelled or refused.", (*MODEL, "reason")
        )
        self.coalesced = self._counter("coalesced_texts", "Texts that joined equal ones in flight.", MODEL)
        self.text_tokens = self._histogram("text_tokens", "Tokens a text, or a window of one.", MODEL, LENGTHS)
        self.batch_rows = self._histogram("batch_texts", "Texts a batch.", MODEL, ROWS)
        self.batch_tokens = self._histogram("batch_tokens", "Tokens a batch, padding included.", MODEL, TOKENS)
        self.padding = self._counter("padding_tokens", "Tokens computed only to fill a batch.", MODEL)
        self.inference_seconds = self._seconds(
            "compute_seconds", "Duration of a batch in ONNX Runtime.", (*MODEL, "session")
        )
        self.out_of_scope = self._counter(
            "out_of_scope_texts", "Texts that were answered as out of scope: none of the labels.", MODEL
        )
        self.cache_hits = self._counter("cache_hits", "Texts answered from the response cache.", MODEL)
        self.cache_misses = self._counter("cache_misses", "Texts that the response cache did not know.", MODEL)
        self.variants_refused = self._counter(
            "variants_refused", "Variants whose golden answers are wrong on this host.", ("model", "variant")
        )
        self.variants_chosen = self._counter(
            "variants_chosen",
            "Loads by the variant that serves and why it: pinned, host_class, family, order or fell_back.",
            ("model", "variant", "why"),
        )
        self.model_info = self._gauge(
            "model_info", "1 for each loaded version, with its variant and labels.", ModelInfo._fields, "livemax"
        )
        self.model_loads = self._counter("model_loads", "Versions that were loaded.", MODEL)
        self.model_load_failures = self._counter("model_load_failures", "Versions that could not be loaded.", MODEL)
        self.bundles_untrusted = self._counter(
            "bundles_untrusted", "Bundles that were not loaded because no trusted key signed them.", MODEL
        )
        self.labels_behind = self._gauge(
            "labels_behind",
            "Labels that a former version answers for, because theirs cannot be loaded.",
            ("model",),
            "livemax",
        )
        self.execution = self._gauge(
            "execution",
            "How a version is run: workers, threads of a run, bounds of a batch, ... as chosen at load; 0: never.",
            (*MODEL, "setting"),
            "livemax",
        )
        self.shadow_texts = self._counter(
            "shadow_texts", "Mirrored texts: agreed, disagreed or dropped.", (*MODEL, "outcome")
        )
        self._described: set[ModelInfo] = set()
        self._finished: dict[tuple[str, str, str], tuple[Counter, Histogram]] = {}

    def finished(self, rpc: str, model: str, code: str, seconds: float) -> None:
        """Counts a call that ended. `model` is the name of a loaded model, or empty."""
        key = (rpc, model, code)
        children = self._finished.get(key)
        if children is None:
            children = self.requests.labels(*key), self.request_seconds.labels(rpc, model)
            self._finished[key] = children
        count, duration = children
        count.inc()
        duration.observe(seconds)

    def describe(self, models: Iterable[ModelInfo]) -> None:
        """Says what is loaded now; what was said before and is no longer true becomes 0, then disappears."""
        now = set(models)
        for gone in self._described - now:
            # values shared between processes outlive `remove`, so that 0 has to say that it is over
            self.model_info.labels(*gone).set(0)
            self.model_info.remove(*gone)
        for info in now:
            self.model_info.labels(*info).set(1)
        self._described = now

    def _counter(self, name: str, meaning: str, labels: Iterable[str]) -> Counter:
        return Counter(PREFIX + name, meaning, labels, registry=self.registry)

    def _gauge(self, name: str, meaning: str, labels: Iterable[str], over_processes: str = "livesum") -> Gauge:
        """`over_processes` says how the values of several processes become one; those of dead ones do not count."""
        return Gauge(PREFIX + name, meaning, labels, registry=self.registry, multiprocess_mode=over_processes)  # type: ignore[arg-type]  # a literal

    def _seconds(self, name: str, meaning: str, labels: Iterable[str]) -> Histogram:
        return self._histogram(name, meaning, labels, SECONDS)

    def _histogram(self, name: str, meaning: str, labels: Iterable[str], buckets: Iterable[float]) -> Histogram:
        return Histogram(PREFIX + name, meaning, labels, buckets=tuple(buckets), registry=self.registry)
