"""A choice that nobody measured."""

from __future__ import annotations

from collections.abc import Mapping

from export.choices import Figures, HostChoice, Latency, Lengths, Relative

USUAL = {"fp32": 1.0, "int8": 0.5}


def host_choice(
    host_class: str, best: str, ratios: Mapping[str, float] | None = None, latency: str | None = None
) -> HostChoice:
    """Of variants by the time they take relative to the first one; `latency` is another one for lone texts."""
    ratios = ratios or USUAL
    return HostChoice(
        host_class=host_class,
        latency=latency or best,
        throughput=best,
        reasons={"latency": "said so", "throughput": "said so"},
        measured=[_figures(name, ratio) for name, ratio in ratios.items()],
        reference=next(iter(ratios)),
        lengths=Lengths(source="test", texts=10, median=12, p99=40),
        rounds=15,
        processor="any",
        cores=2,
        quiet=True,
        onnxruntime="1.31.0",
        create_time="2026-01-01T00:00:00+00:00",
    )


def _figures(name: str, ratio: float) -> Figures:
    relative = Relative(ratio=ratio, low=0.98 * ratio, high=1.02 * ratio)
    latency = Latency(median_ms=3.0 * ratio, p99_ms=8.0 * ratio, relative=relative)
    return Figures(
        variant=name, narrow=latency, wide=latency, batch=8, texts_per_second=250.0 / ratio, throughput=relative
    )
