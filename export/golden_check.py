"""Computes the golden answers of a bundle on this machine."""

from __future__ import annotations

from export.bundle import Bundle
from export.golden import Golden
from export.measurement import Runner
from export.rows import Row, feed


def golden_faults(bundle: Bundle) -> dict[str, str]:
    """Variant -> what is wrong with its answers here; empty when all hold."""
    golden = Golden.read(bundle.file(bundle.manifest.golden))
    rows = [Row(ids, types) for ids, types in zip(golden.input_ids, golden.token_type_ids, strict=True)]
    faults = {}
    for variant in bundle.manifest.variants:
        runner = Runner(bundle.file(variant.file), bundle.manifest.pad_token_id)
        outputs = [runner.run(feed([row], runner.names, bundle.manifest.pad_token_id))[0] for row in rows]
        if fault := golden.deviation(variant.name, outputs):
            faults[variant.name] = fault
    return faults
