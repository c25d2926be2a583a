"""The fastest is taken, unless the noise hides whether it is; then the better proof decides."""

from __future__ import annotations

import pytest

from export.choices import Relative
from export.manifest import ParityProof
from export.tuning.choosing import choose, weakness
from tests.fakes.tiny_variants import proof

PROOFS = {"fp32": proof(1.0), "good": proof(0.992), "weak": proof(0.984)}


def chosen(
    times: dict[str, float], spread: float = 0.01, proofs: dict[str, ParityProof] | None = None
) -> tuple[str, str]:
    def compare(name: str, other: str) -> Relative:
        ratio = times[name] / times[other]
        wide = 0.0 if name == other else spread
        return Relative(ratio=ratio, low=ratio * (1 - wide), high=ratio * (1 + wide))

    return choose(list(times), proofs or PROOFS, compare, "fp32")


def test_what_is_clearly_the_fastest_is_chosen_although_others_are_better_proven() -> None:
    name, why = chosen({"fp32": 1.0, "good": 0.6, "weak": 0.5})
    assert name == "weak"
    assert why == "the fastest: takes 0.50 (0.49 to 0.51) times as long as fp32"


@pytest.mark.parametrize("slower", [1.01, 1.02, 1.03])
def test_within_three_percent_the_better_proof_decides(slower: float) -> None:
    name, why = chosen({"fp32": 1.0, "good": 0.5 * slower, "weak": 0.5}, spread=0.0)
    assert name == "good"
    assert "99.20 % instead of 98.40 %" in why


def test_beyond_three_percent_speed_decides() -> None:
    assert chosen({"fp32": 1.0, "good": 0.52, "weak": 0.5}, spread=0.0)[0] == "weak"


def test_a_lead_that_the_noise_may_have_made_is_no_lead() -> None:
    times = {"fp32": 1.0, "good": 0.6, "weak": 0.5}
    assert chosen(times, spread=0.10)[0] == "weak"
    assert chosen(times, spread=0.15)[0] == "good"
    # where nothing can be told apart, the most exact variant is the safe one
    assert chosen(times, spread=0.60)[0] == "fp32"


def test_a_fastest_that_is_also_the_best_proven_among_equals_says_so() -> None:
    assert chosen({"fp32": 1.0, "good": 0.5, "weak": 0.5})[1] == (
        "as fast as weak within the noise or 3 %, and better proven"
    )


def test_equal_proofs_leave_it_to_speed() -> None:
    equal = {"fp32": proof(0.99), "good": proof(0.99), "weak": proof(0.99)}
    assert chosen({"fp32": 1.0, "good": 0.505, "weak": 0.5}, proofs=equal)[0] == "weak"


def test_a_single_variant_is_chosen_for_being_alone() -> None:
    assert chosen({"fp32": 1.0}) == ("fp32", "the only variant that runs here")


def test_float32_is_chosen_where_int8_does_not_pay() -> None:
    assert chosen({"fp32": 1.0, "good": 1.2, "weak": 1.3}) == ("fp32", "faster than every other variant")


def test_proofs_are_ordered_by_agreement_then_steadiness_then_accuracy() -> None:
    assert weakness(proof(0.992)) < weakness(proof(0.990))
    assert weakness(proof(0.99, flips=0.0)) < weakness(proof(0.99, flips=0.002))
    assert weakness(proof(0.99, accuracy=0.9)) < weakness(proof(0.99, accuracy=0.89))
    # less than a thousandth is a row or two: then the next question decides
    assert weakness(proof(0.9901, flips=0.0)) < weakness(proof(0.9904, flips=0.002))
