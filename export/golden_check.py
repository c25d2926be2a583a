"""Computes the golden answers of a bundle on this machine."""

from __future__ import annotations

from export.bundle import Bundle
from export.golden import Golden
from export.manifest import Variant
from export.measurement import Runner
from export.rows import Row, feed


def golden_faults(bundle: Bundle) -> dict[str, str]:
    """Variant -> what is wrong with its answers here; empty when all hold."""
    golden = Golden.read(bundle.file(bundle.manifest.golden))
    rows = [Row(ids, types) for ids, types in zip(golden.input_ids, golden.token_type_ids, strict=True)]
    found = {variant.name: _fault(bundle, golden, variant, rows) for variant in bundle.manifest.variants}
    return {name: fault for name, fault in found.items() if fault is not None}


def _fault(bundle: Bundle, golden: Golden, variant: Variant, rows: list[Row]) -> str | None:
    pad = bundle.manifest.pad_token_id
    try:
        runner = Runner(bundle.file(variant.file), pad)
        outputs = [runner.run(feed([row], runner.names, pad))[0] for row in rows]
    except Exception as error:  # onnxruntime raises a dozen unrelated types
        return f"ONNX Runtime fails: {str(error).splitlines()[0][:300]}"
    return golden.deviation(variant.name, outputs)
