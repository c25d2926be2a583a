"""What can be taken away from a network, as declarative structures. Adding one is adding a line to `CATALOGUE`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from export.failures import ExportFailure


@dataclass(frozen=True, slots=True)
class Structure:
    """What one candidate lacks. A name says what is taken away: `heads-25` lacks a quarter of the heads."""

    name: str
    heads: float = 0.0
    """Share of all attention heads, in [0, 1); each layer keeps at least one."""
    neurons: float = 0.0
    """Share of the neurons between the two dense layers of each feed-forward block, in [0, 1)."""
    layers: int = 0
    """Whole layers."""

    def describe(self) -> dict[str, str | int | float]:
        """For the manifest."""
        shares: dict[str, str | int | float] = {"heads": self.heads, "neurons": self.neurons, "layers": self.layers}
        return {name: share for name, share in shares.items() if share}


CATALOGUE = {
    each.name: each
    for each in (
        Structure("heads-25", heads=0.25),
        Structure("heads-50", heads=0.5),
        Structure("neurons-25", neurons=0.25),
        Structure("neurons-50", neurons=0.5),
        Structure("slim-25", heads=0.25, neurons=0.25),
        Structure("slim-50", heads=0.5, neurons=0.5),
        Structure("layers-1", layers=1),
        Structure("layers-2", layers=2),
        Structure("layers-3", layers=3),
        Structure("layers-1-neurons-50", neurons=0.5, layers=1),
    )
}


def structures_of(names: Sequence[str]) -> list[Structure]:
    """Those of the catalogue, each once. Raises ExportFailure for a name that is not in it."""
    if unknown := [name for name in names if name not in CATALOGUE]:
        raise ExportFailure(
            f"unknown structure {', '.join(unknown)}: --structures knows {', '.join(CATALOGUE)}; "
            "the number is what is taken away"
        )
    return [CATALOGUE[name] for name in dict.fromkeys(names)]
