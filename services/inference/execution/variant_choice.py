"""From a bundle to the variant that runs here, right and in the best way that this host allows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnxruntime
import structlog

from export.bundle import Bundle
from export.choices import HostChoice
from export.failures import MalformedBundle
from export.golden import Golden, tolerance
from export.manifest import Manifest, Variant
from services.inference.execution.calibration import WIDE_USUALLY, Choice, choose, cpu_grid, gpu_grid
from services.inference.execution.devices import Device
from services.inference.execution.host_record import HostRecord, kind_of, this_host
from services.inference.execution.layout import Layout, SessionSet
from services.inference.execution.session import BrokenModel, Opener, OpenRaw, Session
from services.inference.execution.stopwatch import SessionStopwatch
from services.inference.execution.variant_ranking import Why, ranked
from services.inference.execution.warm_up import CPU_SECONDS, GPU_SECONDS, warm_up
from services.inference.metrics import Metrics
from services.inference.prediction import Encoded
from services.inference.scheduling.batch_selection import Limits
from services.inference.settings import MOST_TENSORRT_TEXTS, InferenceSettings

Source = Literal["measured", "recorded", "constant"]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Execution:
    """How a version is run: warm sessions of a variant that gives its golden answers, and the lane's bounds."""

    variant: Variant
    why: Why
    """Why this variant."""
    layout: Layout
    limits: Limits
    source: Source
    """Where the numbers come from that no setting gives."""


def device_of(settings: InferenceSettings, variant: Variant | None = None) -> Device:
    """The device that the settings ask for. TensorRT's engines belong to one file and one version of the runtime."""
    engines = None
    if settings.device == "tensorrt" and variant is not None:
        engines = settings.state / "tensorrt" / f"{variant.file.sha256[:24]}-{onnxruntime.__version__}"
    return Device(
        kind=settings.device,
        id=settings.device_id,
        memory_bytes=settings.gpu_memory_bytes,
        arena=settings.gpu_arena,
        half_engine=settings.tensorrt_half,
        engines=engines,
    )


def prepare(
    bundle: Bundle,
    golden: Golden,
    settings: InferenceSettings,
    metrics: Metrics,
    open_raw: OpenRaw | None = None,
    choices: Sequence[HostChoice] | None = None,
) -> Execution:
    """Takes the best variant for this host that works, see `ranked`. Raises MalformedBundle, or DeviceUnavailable."""
    manifest = bundle.manifest
    ranking = ranked(manifest, device_of(settings), settings, choices)
    faults = []
    for place, variant in enumerate(ranking.variants):
        device = device_of(settings, variant)
        if device.engines is not None:
            device.engines.mkdir(parents=True, exist_ok=True)
        opener = Opener(
            bundle.file(variant.file),
            device,
            manifest.pad_token_id,
            manifest.outputs,
            manifest.max_length,
            open_raw,
        )
        sessions = SessionSet(opener, settings.cores, settings.workers)
        check = GoldenCheck(golden, variant, device)
        try:
            execution = _prepared(variant, ranking.reason(place), manifest, sessions, check, settings, metrics)
        except BrokenModel as error:
            faults.append(f"{variant.name}: {error}")
            metrics.variants_refused.labels(manifest.name, variant.name).inc()
            log.warning(
                "variant refused", model=manifest.name, version=manifest.version, variant=variant.name, why=str(error)
            )
        else:
            _tell(execution, manifest, ranking.host_class, settings, metrics)
            return execution
    why = "; ".join(faults) or f"none of its variants is meant for {settings.device}"
    raise MalformedBundle(f"{bundle.path}: no variant works on this host ({why}); export the model again")


def _tell(
    execution: Execution, manifest: Manifest, host_class: str, settings: InferenceSettings, metrics: Metrics
) -> None:
    variant = execution.variant.name
    metrics.variants_chosen.labels(manifest.name, variant, execution.why).inc()
    log.info(
        "variant chosen",
        model=manifest.name,
        version=manifest.version,
        variant=variant,
        why=execution.why,
        host_class=host_class,
        tuned_for=settings.tuned_for,
    )


class GoldenCheck:
    """Computes the golden rows of a variant."""

    def __init__(self, golden: Golden, variant: Variant, device: Device) -> None:
        self._golden = golden
        self._variant = variant.name
        self._rows = [
            Encoded(np.array(ids, np.int64), np.array(types, np.int64))
            for ids, types in zip(golden.input_ids, golden.token_type_ids, strict=True)
        ]
        answers = golden.variants.get(variant.name)
        self._tolerance = None
        if device.kind == "tensorrt" and answers is not None:
            # TensorRT rounds as it likes, whatever the precision of the variant
            self._tolerance = tolerance("fp16", np.concatenate([np.array(row, np.float32) for row in answers.logits]))

    def require(self, session: Session) -> None:
        """Raises BrokenModel when a session answers otherwise than where it was proven, or not at all."""
        try:
            outputs = [session.run([row])[0] for row in self._rows]
        except Exception as error:  # onnxruntime raises a dozen unrelated types
            raise BrokenModel(f"ONNX Runtime fails on a golden row: {str(error).splitlines()[0][:300]}") from None
        if fault := self._golden.deviation(self._variant, outputs, self._tolerance):
            raise BrokenModel(fault)


def _prepared(
    variant: Variant,
    why: Why,
    manifest: Manifest,
    sessions: SessionSet,
    check: GoldenCheck,
    settings: InferenceSettings,
    metrics: Metrics,
) -> Execution:
    check.require(sessions.of(1)[0])
    choice, source, seconds = _choice(variant, manifest, sessions, settings)
    threads = 1 if sessions.on_gpu else settings.threads_per_run or choice.threads
    wide_from = choice.wide_from_tokens if settings.wide_from_tokens is None else settings.wide_from_tokens
    wide_from = wide_from if wide_from and threads < sessions.cores else None
    layout = sessions.settle(threads, wide_from is not None, choice.bound)
    for session in layout.sessions:
        check.require(session)
    limits = _limits(settings, choice, manifest, threads, wide_from)
    batch = (limits.batch_texts, limits.batch_tokens)
    runs = warm_up(layout, manifest.max_length, batch, GPU_SECONDS if sessions.on_gpu else CPU_SECONDS)
    chosen = {
        "workers": max(1, sessions.workers // limits.cores),
        "threads": limits.cores,
        "batch_texts": limits.batch_texts,
        "batch_tokens": limits.batch_tokens,
        "run_cost_tokens": limits.run_cost_tokens,
        "wide_from_tokens": limits.wide_from_tokens or 0,
    }
    for name, value in chosen.items():
        metrics.execution.labels(manifest.name, str(manifest.version), name).set(value)
    log.info(
        "execution chosen",
        model=manifest.name,
        version=manifest.version,
        variant=variant.name,
        device=settings.device,
        source=source,
        quiet=choice.quiet,
        **chosen,
        bound=choice.bound and sessions.on_gpu,
        seconds=round(seconds, 3),
        warm_up_runs=runs,
    )
    return Execution(variant, why, layout, limits, source)


def _limits(
    settings: InferenceSettings, choice: Choice, manifest: Manifest, threads: int, wide_from: int | None
) -> Limits:
    """What the settings say, and for the rest what was chosen."""
    return Limits(
        batch_tokens=settings.max_batch_tokens or max(choice.batch_tokens, manifest.max_length),
        batch_texts=settings.max_batch_texts or choice.batch_texts,
        queue_tokens=settings.max_queue_tokens,
        queue_s=settings.max_queue_s,
        run_cost_tokens=choice.run_cost_tokens,
        wide_from_tokens=wide_from,
        cores=threads,
    )


def _choice(
    variant: Variant, manifest: Manifest, sessions: SessionSet, settings: InferenceSettings
) -> tuple[Choice, Source, float]:
    """Measured, or recorded by whoever measured it on this host, and how long that took."""
    if settings.calibration == "off":
        return constants(settings.device, manifest.max_length), "constant", 0.0
    begun = time.perf_counter()
    record = HostRecord(settings.state, this_host(device_of(settings), settings.cores))
    kind = kind_of(manifest, variant)
    known = record.read(kind) if settings.calibration == "auto" else None
    if known is not None:
        return known, "recorded", time.perf_counter() - begun
    watch = SessionStopwatch(sessions)
    try:
        choice = choose(watch, (gpu_grid if sessions.on_gpu else cpu_grid)(manifest.max_length), manifest.max_length)
    finally:
        watch.close()
    if why := record.write(kind, choice):
        log.warning("calibration not recorded", folder=str(settings.state), why=why)
    return choice, "measured", time.perf_counter() - begun


def constants(device: str, max_length: int) -> Choice:
    """What is usual: 8 short texts on a CPU, 128 on a GPU."""
    if device == "cpu":
        return Choice(
            threads=1,
            batch_tokens=max(512, max_length),
            batch_texts=8,
            run_cost_tokens=6.0,
            wide_from_tokens=WIDE_USUALLY,
        )
    return Choice(
        threads=1,
        batch_tokens=max(16_384, max_length),
        batch_texts=MOST_TENSORRT_TEXTS,
        run_cost_tokens=500.0,
        wide_from_tokens=None,
        bound=True,
    )
