"""Who answers: by version, by label, by share of the traffic."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export.serving import SLOTS, Serving, Target
from services.inference.queries import ModelReference
from services.inference.versions.desired import Desired
from services.inference.versions.routing import Lease, Routes, Routing, routes_of, slot_of
from services.platform.failures import ModelNotFound

LABELS = {"stable": 1, "canary": 2}
CANARY, BETA = Target(label="canary"), Target(version=3)
DEFAULT = ModelReference("m")

keys = st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=50)
percents = st.tuples(st.integers(1, 50), st.integers(1, 50))


def leases(*versions: int) -> dict[int, Lease]:
    return {version: Lease(cast(Any, SimpleNamespace(version=version))) for version in versions}


def routing(serving: Serving, *held: int, labels: dict[str, int] = LABELS) -> Routing:
    desired = Desired(frozenset({1, 2, 3}), labels, serving)
    return Routing({"m": routes_of(desired, leases(*held), desired.versions, {})}, {})


def answered(table: Routing, key: str, reference: ModelReference = DEFAULT) -> int:
    return table.choose(reference, key).model.version


@given(keys, percents)
def test_a_key_always_meets_the_same_version(some: list[str], sizes: tuple[int, int]) -> None:
    serving = Serving().with_split([(CANARY, sizes[0]), (BETA, sizes[1])])
    one, other = routing(serving, 1, 2, 3), routing(serving, 1, 2, 3)
    assert [answered(one, key) for key in some] == [answered(other, key) for key in some]


@given(keys, percents, percents)
def test_who_has_a_version_keeps_it_when_shares_grow(
    some: list[str], before: tuple[int, int], after: tuple[int, int]
) -> None:
    small = Serving().with_split([(CANARY, min(before[0], after[0])), (BETA, min(before[1], after[1]))])
    large = small.with_split([(CANARY, max(before[0], after[0])), (BETA, max(before[1], after[1]))])
    for key in some:
        version = answered(routing(small, 1, 2, 3), key)
        assert version == 1 or answered(routing(large, 1, 2, 3), key) == version


def test_shares_are_as_large_as_they_say() -> None:
    table = routing(Serving().with_split([(CANARY, 10), (BETA, 25)]), 1, 2, 3)
    counts = Counter(answered(table, f"customer {number}") for number in range(20_000))
    assert counts[2] == pytest.approx(2_000, rel=0.1)
    assert counts[3] == pytest.approx(5_000, rel=0.1)


@settings(max_examples=300)
@given(st.text(), st.text(min_size=1))
def test_slots_are_within_bounds(name: str, key: str) -> None:
    assert 0 <= slot_of(name, key) < SLOTS


def test_keys_fall_into_all_slots_alike_and_otherwise_for_another_model() -> None:
    counts = Counter(slot_of("m", str(number)) for number in range(50_000))
    assert len(counts) == SLOTS
    assert max(counts.values()) < 1.25 * min(counts.values()) + 150
    same = sum(slot_of("m", str(number)) == slot_of("n", str(number)) for number in range(10_000))
    assert same < 300


def test_callers_without_a_key_are_spread_by_chance() -> None:
    table = routing(Serving().with_split([(CANARY, 50)]), 1, 2)
    assert set(Counter(answered(table, "") for _ in range(200))) == {1, 2}


def test_a_version_or_a_label_passes_the_split_by() -> None:
    table = routing(Serving().with_split([(CANARY, 100)]), 1, 2)
    assert answered(table, "k") == 2
    assert answered(table, "k", ModelReference("m", version=1)) == 1
    assert answered(table, "k", ModelReference("m", label="stable")) == 1
    assert table.find(DEFAULT).model.version == 1


def test_the_only_model_needs_no_name_and_its_keys_stay_where_they_are() -> None:
    table = routing(Serving().with_split([(CANARY, 40)]), 1, 2)
    for number in range(100):
        assert answered(table, str(number), ModelReference("")) == answered(table, str(number))


def test_the_share_of_a_version_that_is_not_loaded_goes_to_stable() -> None:
    table = routing(Serving().with_split([(BETA, 100)]), 1, 2)
    assert {answered(table, str(number)) for number in range(100)} == {1}


def test_a_label_whose_version_could_not_be_loaded_answers_as_before() -> None:
    desired = Desired(frozenset({2, 3}), {"stable": 3, "canary": 2}, Serving())
    routes = routes_of(desired, leases(1, 2), desired.versions, {"stable": 1, "canary": 2})
    assert routes.labels == {"stable": 1, "canary": 2}
    assert set(routes.versions) == {1, 2}


def test_a_label_that_this_server_does_not_follow_answers_nothing() -> None:
    desired = Desired(frozenset({1}), LABELS, Serving())
    assert routes_of(desired, leases(1), desired.versions, {}).labels == {"stable": 1}


def test_models_that_are_not_there_are_answered_with_what_is() -> None:
    table = Routing({"m": Routes(leases(1), {"stable": 1})}, {"broken": "it is broken"})
    for reference, part in (
        (ModelReference("x"), "no model is named 'x'; this server has 'm'"),
        (ModelReference("broken"), "not loaded: it is broken"),
        (ModelReference("m", version=2), "loaded: 1"),
        (ModelReference("m", label="canary"), "labels: stable"),
    ):
        with pytest.raises(ModelNotFound, match=part):
            table.choose(reference, "")
    two = Routing({"m": Routes(leases(1), {"stable": 1}), "n": Routes(leases(1), {})}, {})
    with pytest.raises(ModelNotFound, match="name the model: this server has 'm', 'n'"):
        two.choose(ModelReference(""), "")


async def test_a_lease_is_idle_after_its_last_call() -> None:
    lease = leases(1)[1]
    await lease.idle()
    lease.enter()
    lease.enter()
    waiting = lease.idle()
    lease.leave()
    lease.leave()
    await waiting
