"""The typed clients of the model service with a real server."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from services.clients import (
    AsyncModelClient,
    FailedPrecondition,
    InvalidRequest,
    ModelClient,
    NotFound,
    VersionState,
)
from services.inference.settings import InferenceSettings
from tests.fakes.running_server import running_server
from tests.fakes.tiny_bundle import LABELS, publish_tiny


@pytest.fixture
def target(tmp_path: Path) -> Iterator[str]:
    """tiny: 1 is stable, 2 has no label."""
    publish_tiny(tmp_path)
    publish_tiny(tmp_path, label=None)
    with running_server(InferenceSettings(registry=str(tmp_path), port=0)) as address:
        yield address


async def awaited(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


@pytest.mark.parametrize("kind", [ModelClient, AsyncModelClient])
async def test_both_clients_do_everything_that_the_service_does(target: str, kind: type[Any]) -> None:
    client = kind(target)
    assert [model.name for model in await awaited(client.list_models())] == ["tiny"]
    model = await awaited(client.get_model("tiny"))
    assert model.labels == {"stable": 1}
    assert [(each.version, each.state) for each in model.versions] == [
        (2, VersionState.AVAILABLE),
        (1, VersionState.LOADED),
    ]
    facts = await awaited(client.get_version("tiny"))
    assert (facts.status.version, facts.output_labels, facts.max_length_tokens) == (1, LABELS, 32)
    assert facts.create_time == datetime(2026, 1, 1, tzinfo=UTC)
    assert (await awaited(client.get_version("tiny", version=2))).status.variant == ""
    assert (await awaited(client.load("tiny", 2))).version(2).state is VersionState.LOADED
    assert (await awaited(client.set_label("tiny", "canary", 2))).labels == {"stable": 1, "canary": 2}
    assert (await awaited(client.set_traffic_split("tiny", {"canary": 5, 1: 7}))).split == {"canary": 5, 1: 7}
    shadow = (await awaited(client.set_shadow("tiny", "canary", 30))).shadow
    assert (shadow.target, shadow.percent, shadow.compared, shadow.dropped) == ("canary", 30, 0, 0)
    with pytest.raises(FailedPrecondition) as caught:
        await awaited(client.unload("tiny", 2))
    assert caught.value.details.reason == "VERSION_IN_USE"
    assert (await awaited(client.set_shadow("tiny", None))).shadow is None
    assert (await awaited(client.set_traffic_split("tiny", {}))).split == {}
    assert (await awaited(client.delete_label("tiny", "canary"))).labels == {"stable": 1}
    assert (await awaited(client.unload("tiny", 2))).version(2).state is not VersionState.LOADED
    await awaited(client.set_label("tiny", "stable", 2))
    assert (await awaited(client.roll_back_label("tiny"))).labels == {"stable": 1}
    with pytest.raises(NotFound):
        await awaited(client.get_model("absent"))
    with pytest.raises(InvalidRequest) as refused:
        await awaited(client.set_traffic_split("tiny", {"stable": 101}))
    assert list(refused.value.details.violations) == ["shares[0].percent"]
    with pytest.raises(ValueError, match="not both"):
        await awaited(client.get_version("tiny", version=1, label="stable"))
    await awaited(client.close())
