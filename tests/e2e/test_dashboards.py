"""Dashboards and alerts in deploy/ speak only of metrics that a server has."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fakes.server_process import ROOT, server_process
from tests.fakes.tiny_bundle import publish_tiny

PROMETHEUS = ROOT / "deploy" / "prometheus"
FUNCTIONS = {"rate", "increase", "sum", "max", "count", "histogram_quantile", "label_values", "by", "or", "vector"}
NOT_OURS = {"up"}
"""Made by Prometheus itself, for every target."""


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Names of samples that a server of one process, or one of several, may show."""
    folder: Path = tmp_path_factory.mktemp("registry")
    publish_tiny(folder)
    names: set[str] = set()
    for options in ((), ("--processes", "2")):
        with server_process(folder, *options) as server:
            for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", server.metrics(), re.MULTILINE):
                names |= {f"{name}_bucket", f"{name}_sum", f"{name}_count"} if kind == "histogram" else {name}
    return names


def metrics_of(expression: str) -> set[str]:
    """Metric names of a PromQL expression: words that are neither functions nor labels nor within braces."""
    bare = re.sub(r'"[^"]*"', "", expression)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", bare)
    bare = re.sub(r"\bby\s*\([^)]*\)", "", bare)
    return set(re.findall(r"[a-zA-Z_][a-zA-Z0-9_]*", bare)) - FUNCTIONS


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "deploy" / "grafana" / "inference.json").read_text(encoding="utf-8"))
    return found


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((PROMETHEUS / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_metric_names_are_found_in_expressions() -> None:
    expression = 'histogram_quantile(0.9, sum by (le, x) (rate(a_bucket{model=~"b"}[5m]))) / sum (c_total) > 1'
    assert metrics_of(expression) == {"a_bucket", "c_total"}


def test_every_panel_shows_metrics_that_exist(exposed: set[str]) -> None:
    targets = [target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", [])]
    assert len(targets) > 20
    for expression in targets:
        names = metrics_of(expression)
        assert names, expression
        assert names <= exposed, expression


def test_every_alert_watches_metrics_that_exist_and_says_what_to_do(exposed: set[str]) -> None:
    for rule in rules():
        names = metrics_of(rule["expr"])
        assert names, rule
        assert names <= exposed | NOT_OURS, rule
        assert rule["annotations"]["summary"]
        assert rule["labels"]["severity"] in {"page", "ticket"}


def test_every_metric_is_on_the_dashboard(exposed: set[str]) -> None:
    shown = {
        name for panel in dashboard()["panels"] for t in panel.get("targets", []) for name in metrics_of(t["expr"])
    }
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in exposed}
    assert families - {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown} == set()


def test_the_dashboard_has_a_row_for_each_concern_and_no_panel_twice() -> None:
    panels = dashboard()["panels"]
    rows = [panel["title"] for panel in panels if panel["type"] == "row"]
    assert rows == ["Traffic", "Latency", "Queue", "Batches", "Cache", "Models"]
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_prometheus_loads_the_alerts() -> None:
    configuration = yaml.safe_load((PROMETHEUS / "prometheus.yaml").read_text(encoding="utf-8"))
    assert all((PROMETHEUS / name).exists() for name in configuration["rule_files"])
