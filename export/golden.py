"""Golden answers: a few inputs with the logits that each variant gave where it was proven. Pure: no torch.

A server computes them once at load. Int8 kernels differ between processors; a variant that answers differently there
must not serve.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict


class GoldenVariant(BaseModel):
    """Expected outputs [rows][elements, flattened] of one variant and how far an honest processor may be off."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tolerance: float
    logits: list[list[float]]


class Golden(BaseModel):
    """Content of golden.json: token ids without padding, one row at a time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input_ids: list[list[int]]
    token_type_ids: list[list[int]]
    variants: dict[str, GoldenVariant]

    @classmethod
    def read(cls, path: Path) -> Golden:
        """Parses golden.json. Raises ValueError when it is malformed."""
        return cls.model_validate_json(path.read_text(encoding="utf-8"))

    def deviation(
        self, variant: str, outputs: Sequence[NDArray[np.float32]], tolerated: float | None = None
    ) -> str | None:
        """What is wrong with the computed outputs, one array a row, or None when they are those expected.

        An output is [elements], or of tokens [tokens, elements].

        `tolerated` is for devices that round otherwise than the variant's precision says.
        """
        expected = self.variants.get(variant)
        if expected is None:
            return "golden.json holds no answers of it"
        allowed = expected.tolerance if tolerated is None else tolerated
        worst = 0.0
        for computed, wanted, ids in zip(outputs, expected.logits, self.input_ids, strict=True):
            if computed.size != len(wanted):
                return f"{computed.size} outputs for a row instead of {len(wanted)}"
            if computed.ndim != 1 and computed.shape != (len(ids), len(wanted) // len(ids)):
                return f"an output of the shape {list(computed.shape)} for a row of {len(ids)} tokens"
            if not np.isfinite(computed).all():
                return "an output is not finite"
            worst = max(worst, float(np.abs(computed.ravel() - np.array(wanted, np.float32)).max()))
        if worst <= allowed:
            return None
        return f"outputs are off by {worst:.3g} (allowed {allowed:.3g})"


def tolerance(precision: str, logits: NDArray[np.float32]) -> float:
    """float32: rounding; int8 and float16: a tenth of the logits' spread, a few quantization steps."""
    spread = float(logits.max() - logits.min())
    return 1e-3 * max(1.0, spread) if precision == "fp32" else 0.1 * max(1.0, spread)
