"""The whole step: which variants run here rightly, how fast each is, and which one is to serve on hosts like this one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import onnxruntime

from export.bundle import Bundle
from export.choices import GOALS, Goal, HostChoice
from export.failures import ExportFailure
from export.golden import Golden
from export.host import describe_host, host_class
from export.manifest import Variant
from export.rows import Row
from export.tuning.bench import Device, SessionBench
from export.tuning.choosing import choose
from export.tuning.figures import comparison, figures, runs_wide
from export.tuning.lengths import TokenLengths
from export.tuning.rounds import Report, Timings, time_variants


@dataclass(frozen=True, slots=True)
class Place:
    """Where variants are compared, and how long that may take."""

    device: Device = "cpu"
    device_id: int = 0
    seconds: float = 60.0

    def runs(self, variant: Variant) -> bool:
        """Whether the variant is meant for the device."""
        return variant.device in {self.device, "any"}


def tune(bundle: Bundle, lengths: TokenLengths, place: Place, report: Report) -> HostChoice:
    """Compares the variants of a bundle that run here and give their golden answers. Raises ExportFailure without any."""
    manifest = bundle.manifest
    golden = Golden.read(bundle.file(manifest.golden))
    rows = [Row(ids, types) for ids, types in zip(golden.input_ids, golden.token_type_ids, strict=True)]
    variants = [variant for variant in manifest.variants if place.runs(variant)]
    if not variants:
        raise ExportFailure(f"{bundle.path}: none of its variants is meant for {place.device}")
    bench = bench_of({each.name: bundle.file(each.file) for each in variants}, rows, manifest.pad_token_id, place)
    faults = {variant.name: bench.fault(variant.name, golden, rows) for variant in variants}
    refused = {name: fault for name, fault in faults.items() if fault is not None}
    right = [variant for variant in variants if variant.name not in refused]
    if not right:
        raise ExportFailure(f"{bundle.path}: no variant works on this host: {refused}")
    return compared(bench, right, lengths.within(manifest.max_length), place, report, refused)


def compared(
    bench: SessionBench,
    variants: Sequence[Variant],
    lengths: TokenLengths,
    place: Place,
    report: Report,
    refused: Mapping[str, str],
) -> HostChoice:
    """The choice among variants that run here rightly."""
    names = [variant.name for variant in variants]
    reference = next((variant.name for variant in variants if variant.precision == "fp32"), names[0])
    timings = time_variants(bench, names, lengths, place.seconds, report)
    chosen = {goal: _chosen(goal, timings, variants, reference) for goal in GOALS}
    host = describe_host()
    return HostChoice(
        host_class=host_class(place.device, place.device_id),
        latency=chosen["latency"][0],
        throughput=chosen["throughput"][0],
        reasons={goal: why for goal, (_, why) in chosen.items()},
        measured=[figures(timings, name, reference) for name in names],
        refused=dict(refused),
        reference=reference,
        lengths=lengths.describe(),
        rounds=timings.rounds,
        processor=host.processor,
        cores=len(os.sched_getaffinity(0)),
        quiet=timings.quiet,
        onnxruntime=onnxruntime.__version__,
        create_time=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _chosen(goal: Goal, timings: Timings, variants: Sequence[Variant], reference: str) -> tuple[str, str]:
    proofs = {variant.name: variant.parity for variant in variants}
    wide = goal == "latency" and runs_wide(timings)
    return choose(list(proofs), proofs, comparison(timings, goal, wide), reference)


def bench_of(paths: Mapping[str, Path], rows: Sequence[Row], pad: int, place: Place) -> SessionBench:
    """Variants by name, run on texts of the rows' tokens."""
    tokens = [token for row in rows for token in row.ids]
    return SessionBench(paths, tokens, pad, place.device, place.device_id)
