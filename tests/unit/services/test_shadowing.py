"""A shadow is asked, compared and counted, and nobody who calls ever notices it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from export.registry import Registry
from export.serving import Target
from services.inference.loading import load
from services.inference.metrics import Metrics
from services.inference.pipeline import Pipeline
from services.inference.prediction import Prediction
from services.inference.queries import PLAIN, ClassifyQuery, ModelReference, Options, TextInput
from services.inference.scheduling.scheduler import Scheduler
from services.inference.settings import InferenceSettings
from services.inference.shadowing import MOST_IN_FLIGHT, Counters, Shadowing
from services.inference.tasks.classification import classify
from services.inference.versions.desired import Following
from services.inference.versions.holdings import Holdings
from services.inference.versions.models import Models
from services.inference.versions.reconciliation import Reconciler
from services.platform.failures import InvalidInput
from tests.fakes.stepped import Steps, settled
from tests.fakes.tiny_bundle import publish_tiny

STABLE, SHADOW = 1, 2


class World:
    """tiny: version 1 is stable, version 2 answers every text with another label and is the shadow.

    Workers compute when the test says so.
    """

    def __init__(self, folder: Path, percent: int = 100) -> None:
        publish_tiny(folder)
        publish_tiny(folder, label=None, rotated=1)
        publish_tiny(folder, label=None, pair=True)
        self.registry = Registry(str(folder))
        self.registry.set_shadow("tiny", Target(version=SHADOW), percent)
        self.steps = Steps(workers=2)
        self.scheduler: Scheduler = self.steps.scheduler
        self.metrics = Metrics()
        self.models = Models()
        settings = InferenceSettings(registry=str(folder))
        holdings = Holdings(
            lambda name, version: load(self.registry.open(name, version), settings, self.scheduler, self.metrics),
            self.metrics,
        )
        self.reconciler = Reconciler(Following(self.registry, ""), holdings, self.models, self.metrics)
        self.pipeline = Pipeline(self.models, settings)
        self.shadowing = Shadowing(self.pipeline, self.models, self.metrics)
        self.pipeline.answered = self.shadowing.answered

    async def asked(self, *texts: str, version: int | None = None, label: str | None = None) -> Prediction[object]:
        reference = ModelReference("tiny", version, label)
        query = ClassifyQuery(reference, None, PLAIN, [TextInput(text) for text in texts])
        call = asyncio.create_task(classify(self.pipeline, query))
        await self.compute()
        return await call

    async def compute(self) -> None:
        """Every batch that waits, or that is formed meanwhile by those who called before."""
        await settled()
        for worker in self.steps.workers:
            if worker.batch is not None:
                worker.finish(0.01)
        await settled()

    async def rest(self) -> None:
        for _ in range(30):
            await self.compute()

    @property
    def counters(self) -> Counters:
        shadow = self.registry.serving("tiny").shadow
        assert shadow is not None
        return self.shadowing.counters("tiny", shadow)

    def value(self, outcome: str) -> float:
        labels = {"model": "tiny", "version": str(SHADOW), "outcome": outcome}
        return self.metrics.registry.get_sample_value("bertline_inference_shadow_texts_total", labels) or 0.0


@pytest.fixture
async def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    await made.reconciler.start(0)
    return made


async def test_a_call_is_answered_before_its_shadow_begins(world: World) -> None:
    prediction = await world.asked("the bank")
    assert prediction.served.version == STABLE
    assert world.counters.compared == 0
    await world.rest()
    assert world.counters.compared == 1


async def test_disagreement_is_counted_by_text_with_the_difference_of_the_served_label(world: World) -> None:
    await world.asked("the bank", "球队赢了比赛")
    await world.rest()
    counters = world.counters
    assert (counters.compared, counters.disagreed, counters.dropped) == (2, 2, 0)
    assert 0.5 < counters.mean_difference <= 1.0
    assert (world.value("agreed"), world.value("disagreed"), world.value("dropped")) == (0, 2, 0)


async def test_a_shadow_that_gives_the_same_answers_agrees(world: World) -> None:
    publish_tiny(Path(world.registry.url), label=None)
    world.registry.set_shadow("tiny", Target(version=4), 100)
    await world.reconciler.reconcile()
    await world.asked("the bank")
    await world.rest()
    assert (world.counters.compared, world.counters.disagreed, world.counters.mean_difference) == (1, 0, 0.0)


async def test_a_text_that_only_the_shadow_tells_to_be_out_of_scope_is_a_disagreement(world: World) -> None:
    publish_tiny(Path(world.registry.url), label=None, scope_threshold=-0.1)
    world.registry.set_shadow("tiny", Target(version=4), 100)
    await world.reconciler.reconcile()
    await world.asked("the bank", "the of")
    await world.rest()
    assert (world.counters.compared, world.counters.disagreed, world.counters.mean_difference) == (2, 1, 0.0)


async def test_versions_that_both_tell_a_text_to_be_out_of_scope_agree(tmp_path: Path) -> None:
    world = World(tmp_path)
    for label in ("stable", None):
        publish_tiny(tmp_path, label=label, scope_threshold=-0.1)
    world.registry.set_shadow("tiny", Target(version=5), 100)
    await world.reconciler.start(0)
    await world.asked("the of")
    await world.rest()
    assert (world.counters.compared, world.counters.disagreed) == (1, 0)


async def test_callers_who_choose_a_version_or_a_label_are_not_mirrored(world: World) -> None:
    await world.asked("the bank", version=STABLE)
    await world.asked("the bank", label="stable")
    await world.rest()
    assert world.counters.compared == 0


async def test_texts_that_were_refused_are_not_mirrored(world: World) -> None:
    prediction = await world.asked("the bank", "")
    await world.rest()
    assert isinstance(prediction.outcomes[1], InvalidInput)
    assert (world.counters.compared, world.counters.dropped) == (1, 0)


async def test_of_many_calls_at_once_only_so_many_are_mirrored(world: World) -> None:
    heard: list[tuple[Any, ...]] = []
    world.pipeline.answered = lambda *facts: heard.append(facts)
    for number in range(MOST_IN_FLIGHT + 5):
        await world.asked(f"bank {number}")
    for facts in heard:
        world.shadowing.answered(*facts)
    assert world.counters.dropped == 5
    await world.rest()
    assert (world.counters.compared, world.counters.dropped) == (MOST_IN_FLIGHT, 5)


async def test_a_shadow_of_another_kind_is_dropped_text_by_text(world: World) -> None:
    world.registry.set_shadow("tiny", Target(version=3), 100)
    await world.reconciler.reconcile()
    await world.asked("the bank", "goal")
    await world.rest()
    assert (world.counters.compared, world.counters.dropped) == (0, 2)


async def test_a_shadow_that_is_unloaded_meanwhile_is_dropped(world: World) -> None:
    await world.asked("the bank")
    before = world.counters
    world.registry.set_shadow("tiny", None, 0)
    await world.reconciler.reconcile()
    await world.rest()
    assert before.compared + before.dropped == 1


async def test_draining_drops_what_is_pending_and_mirrors_no_more(world: World) -> None:
    await world.asked("the bank")
    await world.shadowing.stop()
    assert (world.counters.compared, world.counters.dropped) == (0, 1)
    await world.asked("goal")
    await world.rest()
    assert (world.counters.compared, world.counters.dropped) == (0, 1)


async def test_mirrored_texts_have_low_priority_and_end(world: World) -> None:
    seen: list[ClassifyQuery] = []
    mirror = world.shadowing.answered

    def hear(model: object, query: object, texts: object, prediction: object) -> None:
        assert isinstance(query, ClassifyQuery)
        seen.append(query)
        mirror(model, query, texts, prediction)  # type: ignore[arg-type]

    world.pipeline.answered = hear
    await world.asked("the bank")
    await world.rest()
    asked, mirrored = seen
    assert asked.options == PLAIN
    assert mirrored.options == Options(priority=mirrored.options.priority)
    assert mirrored.options.priority.name == "LOW"
    assert mirrored.deadline is not None
    assert mirrored.model == ModelReference("tiny", version=SHADOW)


async def test_mirrors_of_a_former_setting_add_nothing_to_the_new_one(world: World) -> None:
    await world.asked("the bank")
    world.registry.set_shadow("tiny", Target(version=SHADOW), 100)
    await world.reconciler.reconcile()
    assert world.counters.compared == 0
    await world.rest()
    assert (world.counters.compared, world.counters.dropped) == (0, 0)


async def test_a_part_of_the_calls_is_mirrored(tmp_path: Path) -> None:
    world = World(tmp_path, percent=30)
    await world.reconciler.start(0)
    for number in range(200):
        await world.asked(f"bank {number}")
        await world.compute()
    await world.rest()
    assert 30 < world.counters.compared + world.counters.dropped < 95
