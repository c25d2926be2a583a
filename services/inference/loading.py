"""From a bundle to a loaded model: tokenizer, sessions of the first variant whose golden answers hold on this host."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import structlog

from export.bundle import Bundle
from export.failures import MalformedBundle
from export.golden import Golden
from export.manifest import Manifest, Variant
from services.inference.computation import Computation, output_of
from services.inference.host_costs import HostCosts, measure
from services.inference.prediction import Encoded, Served
from services.inference.response_cache import ResponseCache
from services.inference.scheduling.batch_selection import Limits
from services.inference.scheduling.lane import Lane
from services.inference.scheduling.scheduler import Scheduler
from services.inference.session import BrokenModel, Sessions, open_sessions, run
from services.inference.settings import InferenceSettings
from services.inference.statistics import ModelStatistics
from services.inference.tokenization import Tokenization
from services.platform.metrics import Metrics

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
    temperature: float
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


def load(bundle: Bundle, settings: InferenceSettings, scheduler: Scheduler, metrics: Metrics) -> LoadedModel:
    """Loads and warms a bundle. Raises MalformedBundle when no variant works here, DeviceUnavailable for CUDA."""
    manifest = bundle.manifest
    if manifest.max_length > settings.batch_tokens:
        raise MalformedBundle(
            f"{bundle.path}: texts of {manifest.max_length} tokens do not fit a batch of {settings.batch_tokens}: "
            "raise max_batch_tokens"
        )
    try:
        tokenization = Tokenization(bundle.file(manifest.tokenizer), manifest.max_length)
        golden = Golden.read(bundle.file(manifest.golden))
    except Exception as error:
        raise MalformedBundle(f"{bundle.path}: tokenizer or golden answers are malformed ({error})") from None
    variant, sessions = _working_variant(bundle, golden, settings, metrics)
    statistics = ModelStatistics()
    computation = Computation(sessions, manifest)
    limits = _limits(settings, measure(sessions, manifest), manifest)
    observer = ModelObserver(metrics, manifest, statistics)
    lane = scheduler.lane(computation, limits, observer)
    served = Served(manifest.name, manifest.version, variant.name)
    cache = ResponseCache(settings.cache_bytes) if settings.cache_bytes else None
    return LoadedModel(manifest, variant, tokenization, lane, statistics, served, manifest.temperature, cache, observer)


def _limits(settings: InferenceSettings, costs: HostCosts, manifest: Manifest) -> Limits:
    log.info(
        "host measured",
        model=manifest.name,
        version=manifest.version,
        run_cost_tokens=round(costs.run_cost_tokens, 1),
        wide_from_tokens=costs.wide_from_tokens,
    )
    return Limits(
        batch_tokens=settings.batch_tokens,
        batch_texts=settings.batch_texts,
        queue_tokens=settings.max_queue_tokens,
        queue_s=settings.max_queue_s,
        run_cost_tokens=costs.run_cost_tokens,
        wide_from_tokens=costs.wide_from_tokens,
    )


def _working_variant(
    bundle: Bundle, golden: Golden, settings: InferenceSettings, metrics: Metrics
) -> tuple[Variant, Sessions]:
    """The first variant, in the manifest's order, that is meant for the device and gives its golden answers here."""
    manifest = bundle.manifest
    rows = [
        Encoded(np.array(ids, np.int64), np.array(types, np.int64))
        for ids, types in zip(golden.input_ids, golden.token_type_ids, strict=True)
    ]
    faults = []
    for variant in manifest.variants:
        if variant.device not in {settings.device, "any"}:
            continue
        try:
            sessions = open_sessions(bundle.file(variant.file), settings.device, settings.cores)
            fault = _golden_fault(sessions, variant, golden, rows, manifest)
        except BrokenModel as error:
            fault = str(error)
        if fault is None:
            return variant, sessions
        faults.append(f"{variant.name}: {fault}")
        metrics.variants_refused.labels(manifest.name, variant.name).inc()
        log.warning("variant refused", model=manifest.name, version=manifest.version, variant=variant.name, why=fault)
    why = "; ".join(faults) or f"none of its variants is meant for {settings.device}"
    raise MalformedBundle(f"{bundle.path}: no variant works on this host ({why}); export the model again")


def _golden_fault(
    sessions: Sessions, variant: Variant, golden: Golden, rows: list[Encoded], manifest: Manifest
) -> str | None:
    """Computes the golden rows with every session, which warms them too."""
    output = output_of(manifest.task)
    for session in filter(None, (sessions.narrow, sessions.wide)):
        outputs = [run(session, [row], sessions.inputs, manifest.pad_token_id, output)[0] for row in rows]
        if fault := golden.deviation(variant.name, outputs):
            return fault
    return None


class ModelObserver:
    """Turns what the lane does into metrics and statistics; label lookups are done once."""

    def __init__(self, metrics: Metrics, manifest: Manifest, statistics: ModelStatistics) -> None:
        self._labels = (manifest.name, str(manifest.version))
        self._statistics = statistics
        self._texts = metrics.queue_texts.labels(*self._labels)
        self._tokens = metrics.queue_tokens.labels(*self._labels)
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

    def waited(self, seconds: float) -> None:
        """The slowest text of a call waited so long."""
        self._queue_seconds.observe(seconds)

    def looked_up(self, hits: int, misses: int) -> None:
        """The response cache was asked for so many texts."""
        self._hits.inc(hits)
        self._misses.inc(misses)
