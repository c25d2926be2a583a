from __future__ import annotations

import math

import pytest
from prometheus_client import generate_latest

from benchmarks.server_metrics import Counters, parse
from services.inference.metrics import Metrics


def page(metrics: Metrics) -> str:
    return generate_latest(metrics.registry).decode()


def test_the_names_are_those_of_the_server() -> None:
    metrics = Metrics()
    before = parse(page(metrics))
    for model, rows, tokens, padded in (("a", 3, 20, 24), ("b", 1, 10, 10)):
        metrics.batch_rows.labels(model, "1").observe(rows)
        metrics.batch_tokens.labels(model, "1").observe(padded)
        metrics.padding.labels(model, "1").inc(padded - tokens)
        metrics.coalesced.labels(model, "1").inc(2)
        metrics.dropped.labels(model, "1", "expired").inc(5)
    found = parse(page(metrics)).since(before)
    assert found == Counters(2, 4, 34, 4, 4, {"expired": 10})
    assert found.waste == pytest.approx(34 / 30)
    assert found.batch_size == 2


def test_what_two_windows_counted_is_added_up() -> None:
    one, two = Counters(1, 2, 3, 1, 0, {"expired": 1}), Counters(1, 6, 7, 1, 2, {"expired": 2, "refused": 1})
    assert one.plus(two) == Counters(2, 8, 10, 2, 2, {"expired": 3, "refused": 1})
    assert math.isnan(Counters(0, 0, 0, 0, 0, {}).waste)


def test_renamed_metrics_are_noticed() -> None:
    with pytest.raises(KeyError, match="renamed"):
        parse("# TYPE something_else counter\nsomething_else_total 1\n")
