"""Which variant is taken: the fastest, unless what is as fast within the noise is better proven."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from export.choices import Relative
from export.proof import ParityProof

TIE = 1.03
"""Who may take at most so much longer than the fastest, as far as the rounds can tell, is as fast."""


def choose(
    names: Sequence[str], proofs: Mapping[str, ParityProof], compare: Callable[[str, str], Relative], first: str
) -> tuple[str, str]:
    """The name, and why, for people. `compare` says how long one takes relative to another; `first` is compared with."""
    fastest = min(names, key=lambda name: compare(name, first).ratio)
    tied = [name for name in names if name == fastest or compare(name, fastest).low <= TIE]
    best = min(tied, key=lambda name: (weakness(proofs[name]), name != fastest))
    if best == fastest:
        return best, _ahead(best, names, tied, compare, first)
    slower = compare(best, fastest)
    return best, (
        f"{fastest} is not clearly faster ({best} takes {_times(slower)} as long), and {best} is better proven: "
        f"agreement {100 * proofs[best].agreement:.2f} % instead of {100 * proofs[fastest].agreement:.2f} %"
    )


def weakness(proof: ParityProof) -> tuple[float, ...]:
    """Orders proofs, the best one first: agreement with the checkpoint, steadiness, likeness of vectors, accuracy, exactness.

    Agreement and flips count in steps of a thousandth: less is a row or two.
    """
    return (
        -round(proof.agreement, 3),
        round(proof.flips_with_batch_mates, 3),
        -round(proof.mean_cosine or 0.0, 4),
        round(proof.drop, 1),
        proof.mean_logit_difference,
    )


def _ahead(
    best: str, names: Sequence[str], tied: Sequence[str], compare: Callable[[str, str], Relative], first: str
) -> str:
    if len(names) == 1:
        return "the only variant that runs here"
    others = [name for name in tied if name != best]
    if others:
        return f"as fast as {', '.join(others)} within the noise or 3 %, and better proven"
    if best == first:
        return "faster than every other variant"
    return f"the fastest: takes {_times(compare(best, first))} as long as {first}"


def _times(value: Relative) -> str:
    return f"{value.ratio:.2f} ({value.low:.2f} to {value.high:.2f}) times"
