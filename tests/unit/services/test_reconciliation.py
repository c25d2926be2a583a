"""What is loaded follows the registry: in which order, and what happens when something goes wrong on the way."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest

from export.failures import UnknownModel
from export.registry import Registry
from services.inference.execution.session import DeviceUnavailable
from services.inference.loading import LoadedModel, load
from services.inference.metrics import Metrics
from services.inference.pipeline import Pipeline
from services.inference.queries import PLAIN, ClassifyQuery, ModelReference, TextInput
from services.inference.scheduling.scheduler import Scheduler
from services.inference.settings import InferenceSettings
from services.inference.tasks.classification import classify
from services.inference.versions.desired import Following
from services.inference.versions.holdings import RETRY_S, Holdings, State
from services.inference.versions.models import Models, NothingLoaded
from services.inference.versions.reconciliation import Reconciler
from services.platform.failures import ModelNotFound, Precondition
from tests.fakes.loader import FakeLoader
from tests.fakes.stepped import settled
from tests.fakes.tiny_bundle import publish_tiny

STABLE = ModelReference("tiny")


class World:
    """A registry with three versions of one model, of which the first is stable, and a server that follows it."""

    def __init__(self, folder: Path, models: str = "") -> None:
        for _ in range(3):
            publish_tiny(folder, label=None)
        self.registry = Registry(str(folder))
        self.registry.set_label("tiny", "stable", 1)
        self.loader = FakeLoader(self.registry)
        self.now = 0.0
        self.metrics = Metrics()
        self.models = Models()
        holdings = Holdings(self.loader, self.metrics, lambda: self.now)
        self.reconciler = Reconciler(Following(self.registry, models), holdings, self.models, self.metrics)

    def loaded(self) -> list[int]:
        return [model.version for model in self.models.loaded()]

    def state(self, version: int) -> State:
        return self.reconciler.standing("tiny", version).state

    def value(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"bertline_inference_{name}", labels) or 0.0


async def until(condition: Callable[[], bool]) -> None:
    """Waits for what other threads do."""
    for _ in range(2_000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not come to that")


@pytest.fixture
async def world(tmp_path: Path) -> World:
    started = World(tmp_path)
    await started.reconciler.start(0)
    return started


async def test_the_new_version_is_loaded_before_the_old_one_is_unloaded(world: World) -> None:
    world.registry.set_label("tiny", "stable", 2)
    await world.reconciler.reconcile()
    await settled()
    assert world.loader.events == ["load 1", "load 2", "unload 1"]
    assert world.loaded() == [2]


async def test_the_old_version_answers_while_the_new_one_is_being_loaded(world: World) -> None:
    world.loader.begun.clear()
    world.loader.release.clear()
    world.registry.set_label("tiny", "stable", 2)
    moving = asyncio.create_task(world.reconciler.reconcile())
    await asyncio.to_thread(world.loader.begun.wait)
    assert world.state(2) is State.LOADING
    with world.models.use(STABLE) as model:
        assert model.version == 1
        world.loader.release.set()
        await moving
        with world.models.use(STABLE) as later:
            assert later.version == 2
    await settled()
    assert world.loader.events == ["load 1", "load 2", "unload 1"]


async def test_a_version_is_unloaded_only_after_its_last_call(world: World) -> None:
    with world.models.use(STABLE), world.models.use(STABLE):
        world.registry.set_label("tiny", "stable", 2)
        await world.reconciler.reconcile()
        await settled()
        assert world.state(1) is State.UNLOADING
        with pytest.raises(ModelNotFound):
            world.models.get(ModelReference("tiny", version=1))
    await settled()
    assert world.state(1) is State.AVAILABLE
    assert world.loader.events[-1] == "unload 1"


async def test_a_version_that_is_wanted_again_while_its_calls_end_is_not_loaded_anew(world: World) -> None:
    with world.models.use(STABLE):
        for version in (2, 1):
            world.registry.set_label("tiny", "stable", version)
            await world.reconciler.reconcile()
            await settled()
    await settled()
    assert world.loader.events == ["load 1", "load 2", "unload 2"]
    assert world.loaded() == [1]


async def test_calls_come_and_go_through_twenty_swaps_and_none_finds_nothing(world: World) -> None:
    done = False
    seen: set[int] = set()

    async def caller() -> None:
        while not done:
            with world.models.use(STABLE) as model:
                await asyncio.sleep(0.001)  # callers that never sleep would starve the thread that loads
                assert f"unload {model.version}" != world.loader.events[-1]
                seen.add(model.version)

    callers = [asyncio.create_task(caller()) for _ in range(10)]
    for turn in range(20):
        world.registry.set_label("tiny", "stable", 1 + turn % 3)
        await world.reconciler.reconcile()
    done = True
    await asyncio.gather(*callers)
    assert seen == {1, 2, 3}


async def test_a_version_that_cannot_be_loaded_leaves_the_former_one_answering(world: World) -> None:
    world.loader.broken = {2}
    world.registry.set_label("tiny", "stable", 2)
    await world.reconciler.reconcile()
    await settled()
    assert world.models.get(STABLE).version == 1
    standing = world.reconciler.standing("tiny", 2)
    assert standing.state is State.FAILED
    assert standing.message == "tiny/2 is broken; version 1 goes on answering for 'stable'"
    assert world.value("model_load_failures_total", model="tiny", version="2") == 1
    assert world.value("labels_behind", model="tiny") == 1
    assert world.value("model_info", model="tiny", version="1", variant="fp32", labels="stable") == 1
    world.registry.set_label("tiny", "stable", 3)
    await world.reconciler.reconcile()
    await settled()
    assert world.loaded() == [3]
    assert world.state(2) is State.AVAILABLE
    assert world.value("labels_behind", model="tiny") == 0


async def test_what_failed_is_tried_again_after_a_while_and_not_at_every_pass(world: World) -> None:
    world.loader.broken = {2}
    world.registry.set_label("tiny", "stable", 2)
    for _ in range(5):
        await world.reconciler.reconcile()
    assert world.loader.events.count("load 2") == 1
    world.loader.broken = set()
    world.now += RETRY_S
    await world.reconciler.reconcile()
    assert world.loaded() == [2]


async def test_a_change_loads_first_then_writes_and_writes_nothing_when_it_cannot_load(world: World) -> None:
    world.loader.broken = {3}
    with pytest.raises(Precondition, match="tiny/3 is broken"):
        await world.reconciler.change("tiny", [3], lambda: world.registry.set_label("tiny", "stable", 3))
    assert world.registry.labels("tiny") == {"stable": 1}
    assert world.state(3) is State.AVAILABLE

    def write() -> None:
        world.loader.events.append("write")
        world.registry.set_label("tiny", "stable", 2)

    await world.reconciler.change("tiny", [2], write)
    await settled()
    assert world.loader.events[-3:] == ["load 2", "write", "unload 1"]


async def test_a_change_that_cannot_be_written_leaves_nothing_loaded(world: World) -> None:
    def write() -> None:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        await world.reconciler.change("tiny", [2], write)
    await settled()
    assert world.loaded() == [1]
    assert world.loader.events[-1] == "unload 2"


async def test_a_change_goes_on_when_its_caller_goes_away(world: World) -> None:
    world.loader.begun.clear()
    world.loader.release.clear()
    write = world.registry.set_label
    change = asyncio.create_task(world.reconciler.change("tiny", [2], lambda: write("tiny", "stable", 2)))
    await asyncio.to_thread(world.loader.begun.wait)
    change.cancel()
    await asyncio.gather(change, return_exceptions=True)
    world.loader.release.set()
    await world.reconciler.reconcile()  # waits for its turn
    assert world.loaded() == [2]


async def test_a_registry_that_is_away_or_unreadable_changes_nothing(world: World, tmp_path: Path) -> None:
    (tmp_path / "tiny" / "serving.json").write_text("[]", encoding="utf-8")
    await world.reconciler.reconcile()
    assert world.loaded() == [1]
    assert "serving.json" in world.reconciler.fault("tiny")
    (tmp_path / "tiny").rename(tmp_path / ".elsewhere")
    await world.reconciler.reconcile()
    assert world.loaded() == [1]


async def test_a_model_that_left_a_registry_of_others_is_unloaded(world: World, tmp_path: Path) -> None:
    publish_tiny(tmp_path, "other")
    (tmp_path / "tiny").rename(tmp_path / ".elsewhere")
    await world.reconciler.reconcile()
    await settled()
    assert [model.name for model in world.models.loaded()] == ["other"]
    assert world.loader.events[-1] == "unload 1"


async def test_a_suspended_model_is_away_until_it_is_resumed_whatever_the_registry_says(world: World) -> None:
    await world.reconciler.suspend("tiny")
    world.registry.set_label("tiny", "stable", 2)
    await world.reconciler.reconcile()
    await settled()
    assert world.loader.events == ["load 1", "unload 1"]
    with pytest.raises(ModelNotFound, match="unloaded from this server by a client"):
        world.models.get(STABLE)
    await world.reconciler.resume("tiny")
    assert world.loaded() == [2]


async def test_pinned_split_and_shadowed_versions_are_loaded_too(world: World) -> None:
    world.registry.pin("tiny", 2)
    await world.reconciler.reconcile()
    assert world.loaded() == [1, 2]
    world.registry.unpin("tiny", 2)
    world.registry.set_label("tiny", "canary", 3)
    await world.reconciler.reconcile()
    await settled()
    assert world.loaded() == [1, 3]


@pytest.mark.parametrize(
    ("setting", "versions"),
    [
        ("tiny", [1, 3]),
        ("tiny@stable", [1]),
        ("tiny:2", [2]),
        ("tiny:2,tiny@canary", [2, 3]),
        ("tiny@beta,tiny:1", [1]),
    ],
)
async def test_the_setting_restricts_what_is_loaded(tmp_path: Path, setting: str, versions: list[int]) -> None:
    world = World(tmp_path, setting)
    world.registry.set_label("tiny", "canary", 3)
    await world.reconciler.start(0)
    assert world.loaded() == versions


async def test_a_start_with_nothing_says_why_for_each(tmp_path: Path) -> None:
    world = World(tmp_path, "tiny:x,absent")
    with pytest.raises(NothingLoaded, match=r"absent: .*no model 'absent'.*; tiny: 'tiny:x': expected name"):
        await world.reconciler.start(0)


async def test_a_start_without_the_device_that_was_asked_for_fails(tmp_path: Path) -> None:
    world = World(tmp_path)

    def unavailable(name: str, version: int) -> LoadedModel:
        raise DeviceUnavailable("no GPU")

    holdings = Holdings(unavailable, world.metrics)
    reconciler = Reconciler(Following(world.registry, ""), holdings, world.models, world.metrics)
    with pytest.raises(DeviceUnavailable):
        await reconciler.start(0)


async def test_polling_follows_the_registry_until_the_server_rests(world: World) -> None:
    await world.reconciler.start(0.001)
    world.registry.set_label("tiny", "stable", 2)
    await until(lambda: world.loaded() == [2])
    world.reconciler.rest()
    await settled()
    world.registry.set_label("tiny", "stable", 3)
    await asyncio.sleep(0.05)
    assert world.loaded() == [2]
    await world.reconciler.stop()


async def test_the_memory_of_an_unloaded_version_is_free_although_nobody_collects_garbage(tmp_path: Path) -> None:
    world = World(tmp_path)
    scheduler = Scheduler(2)
    settings = InferenceSettings(registry=str(tmp_path))
    models = Models()
    holdings = Holdings(
        lambda name, version: load(world.registry.open(name, version), settings, scheduler, world.metrics),
        world.metrics,
    )
    reconciler = Reconciler(Following(world.registry, ""), holdings, models, world.metrics)
    pipeline = Pipeline(models, settings)
    await reconciler.start(0)
    gc.disable()
    try:
        query = ClassifyQuery(STABLE, None, PLAIN, [TextInput("the bank"), TextInput("goal")])
        await classify(pipeline, query)
        old = [weakref.ref(models.get(STABLE).lane), weakref.ref(models.get(STABLE).lane.compute)]
        world.registry.set_label("tiny", "stable", 2)
        await reconciler.reconcile()
        await settled()
        # workers forget a model when they have nothing of it to compute
        await until(lambda: all(each() is None for each in old))
    finally:
        gc.enable()
        await reconciler.stop()
        await scheduler.close()


async def test_names_that_only_callers_know_leave_no_trace(world: World) -> None:
    for number in range(3):
        with pytest.raises(ModelNotFound):
            await world.reconciler.resume(f"guess-{number}")
        with pytest.raises(UnknownModel):
            await world.reconciler.change("guess", [], lambda: world.registry.pin("guess", 1))
    assert [name for name, _, _ in world.reconciler.index()] == ["tiny"]
    assert world.metrics.registry.get_sample_value("bertline_inference_labels_behind", {"model": "guess"}) is None
