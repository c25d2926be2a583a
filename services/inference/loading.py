"""From a bundle to a loaded model: tokenizer, and sessions of the best variant that works on this host."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import structlog

from export.bundle import Bundle
from export.choices import HostChoice
from export.failures import MalformedBundle, UntrustedBundle
from export.golden import Golden
from export.manifest import Manifest, Variant
from export.registry import Registry
from services.inference.execution.computation import Computation
from services.inference.execution.variant_choice import prepare
from services.inference.metrics import Metrics
from services.inference.prediction import Encoded, Served
from services.inference.response_cache import ResponseCache
from services.inference.scheduling.lane import Lane
from services.inference.scheduling.scheduler import Scheduler
from services.inference.settings import InferenceSettings
from services.inference.statistics import ModelStatistics
from services.inference.tokenization import Tokenization

DROPPED = ("expired", "cancelled", "refused")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, eq=False)
class LoadedModel:
    """A version that answers."""

    manifest: Manifest
    variant: Variant
    tokenization: Tokenization
    lane: Lane
    statistics: ModelStatistics
    served: Served
    cache: ResponseCache | None
    observer: ModelObserver

    @property
    def name(self) -> str:
        """Model name."""
        return self.manifest.name

    @property
    def version(self) -> int:
        """Version of the bundle."""
        return self.manifest.version

    @property
    def temperature(self) -> float:
        """What logits are divided by."""
        return self.manifest.temperature_of(self.variant)


def open_trusted(registry: Registry, name: str, version: int, metrics: Metrics) -> Bundle:
    """A verified bundle; of one that nobody trusted has signed the operator hears. Raises UntrustedBundle, MalformedBundle."""
    try:
        return registry.open(name, version)
    except UntrustedBundle as error:
        metrics.bundles_untrusted.labels(name, str(version)).inc()
        log.error("bundle not trusted", model=name, version=version, why=str(error))
        raise


def load(
    bundle: Bundle,
    settings: InferenceSettings,
    scheduler: Scheduler,
    metrics: Metrics,
    choices: Sequence[HostChoice] | None = None,
) -> LoadedModel:
    """Loads and warms a bundle; `choices` say which variant is the best where.

    Raises MalformedBundle when no variant works here, DeviceUnavailable for CUDA.
    """
    manifest = bundle.manifest
    if 0 < settings.max_batch_tokens < manifest.max_length:
        raise MalformedBundle(
            f"{bundle.path}: texts of {manifest.max_length} tokens do not fit a batch of {settings.max_batch_tokens}: "
            "raise max_batch_tokens"
        )
    try:
        tokenization = Tokenization(bundle.file(manifest.tokenizer), manifest.max_length)
        golden = Golden.read(bundle.file(manifest.golden))
    except Exception as error:
        raise MalformedBundle(f"{bundle.path}: tokenizer or golden answers are malformed ({error})") from None
    execution = prepare(bundle, golden, settings, metrics, choices=choices)
    variant = execution.variant
    statistics = ModelStatistics()
    observer = ModelObserver(metrics, manifest, statistics)
    lane = scheduler.lane(Computation(execution.layout, manifest, variant), execution.limits, observer)
    served = Served(manifest.name, manifest.version, variant.name)
    cache = ResponseCache(settings.cache_bytes) if settings.cache_bytes else None
    return LoadedModel(manifest, variant, tokenization, lane, statistics, served, cache, observer)


class ModelObserver:
    """Turns what the lane does into metrics and statistics; label lookups are done once."""

    def __init__(self, metrics: Metrics, manifest: Manifest, statistics: ModelStatistics) -> None:
        self._labels = (manifest.name, str(manifest.version))
        self._statistics = statistics
        self._texts = metrics.queue_texts.labels(*self._labels)
        self._tokens = metrics.queue_tokens.labels(*self._labels)
        self._lengths = metrics.text_tokens.labels(*self._labels)
        self._rows = metrics.batch_rows.labels(*self._labels)
        self._batch_tokens = metrics.batch_tokens.labels(*self._labels)
        self._padding = metrics.padding.labels(*self._labels)
        self._seconds = {
            wide: metrics.inference_seconds.labels(*self._labels, "wide" if wide else "narrow")
            for wide in (False, True)
        }
        self._queue_seconds = metrics.queue_seconds.labels(*self._labels)
        self._coalesced = metrics.coalesced.labels(*self._labels)
        self._dropped = {reason: metrics.dropped.labels(*self._labels, reason) for reason in DROPPED}
        self._hits = metrics.cache_hits.labels(*self._labels)
        self._misses = metrics.cache_misses.labels(*self._labels)
        self._out_of_scope = metrics.out_of_scope.labels(*self._labels)

    def queue_changed(self, texts: int, tokens: int) -> None:
        """Two gauges."""
        self._texts.set(texts)
        self._tokens.set(tokens)

    def batch_done(self, rows: int, tokens: int, padded: int, seconds: float, wide: bool) -> None:
        """Sizes, padding and duration of a batch."""
        self._rows.observe(rows)
        self._batch_tokens.observe(padded)
        self._padding.inc(padded - tokens)
        self._seconds[wide].observe(seconds)
        self._statistics.batch_done(rows, seconds)

    def coalesced(self, texts: int) -> None:
        """Texts that joined equal ones in flight."""
        self._coalesced.inc(texts)

    def dropped(self, texts: int, reason: str) -> None:
        """Texts that left before compute."""
        self._dropped[reason].inc(texts)

    def read(self, rows: Iterable[Encoded]) -> None:
        """Rows that a call wants computed."""
        for row in rows:
            self._lengths.observe(len(row))

    def waited(self, seconds: float) -> None:
        """The slowest text of a call waited so long."""
        self._queue_seconds.observe(seconds)

    def out_of_scope(self, texts: int) -> None:
        """Texts that none of the labels is for."""
        self._out_of_scope.inc(texts)

    def looked_up(self, hits: int, misses: int) -> None:
        """The response cache was asked for so many texts."""
        self._hits.inc(hits)
        self._misses.inc(misses)
        self._statistics.looked_up(hits, misses)
