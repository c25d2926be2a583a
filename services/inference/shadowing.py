"""Asks a second version, too, for a part of the calls, and counts where it disagrees. Nobody waits for its answers.

Mirrored texts have low priority, so that they are refused first under load, and few calls are mirrored at once. Whatever
goes wrong with one is counted as dropped, and nothing else comes of it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextvars import Context
from dataclasses import dataclass, replace
from typing import Any

from export.manifest import Manifest
from export.serving import Shadow
from services.inference.loading import LoadedModel
from services.inference.metrics import Metrics
from services.inference.pipeline import Pipeline, Texts
from services.inference.prediction import Classification, Prediction
from services.inference.queries import ClassifyQuery, ModelReference, Priority, Query, TextInput
from services.inference.tasks.classification import applying, classify
from services.inference.versions.models import Models
from services.inference.versions.routing import ShadowRoute

MOST_IN_FLIGHT = 16
"""Calls mirrored at once."""
PATIENCE_S = 5.0
"""A mirrored text that was not computed by then is dropped."""


@dataclass(slots=True)
class Counters:
    """What came of one setting of a shadow, in texts."""

    setting: Shadow
    compared: int = 0
    disagreed: int = 0
    difference: float = 0.0
    dropped: int = 0

    @property
    def mean_difference(self) -> float:
        """Mean absolute difference of the served label's probability."""
        return self.difference / self.compared if self.compared else 0.0


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a version says of a text: the labels that it has, the most probable one, and its probability.

    A version that does not tell texts out of scope takes all of them to be in it.
    """

    labels: frozenset[str]
    best: str
    probability: float
    out_of_scope: bool

    def agrees(self, manifest: Manifest, outcome: Classification) -> bool:
        """Whether another version's outcome says the same."""
        return (applying(manifest, outcome.probabilities), _outside(outcome)) == (self.labels, self.out_of_scope)


class Shadowing:
    """Mirrors the calls of a pipeline. Give `answered` to it."""

    def __init__(self, pipeline: Pipeline, models: Models, metrics: Metrics) -> None:
        self._pipeline = pipeline
        self._models = models
        self._metrics = metrics
        self._counters: dict[str, Counters] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._stopped = False

    def counters(self, name: str, setting: Shadow) -> Counters:
        """The counters of a model's shadow; a new setting has new ones, to which the mirrors of a former add nothing."""
        counters = self._counters.get(name)
        if counters is not None and counters.setting == setting:
            return counters
        fresh = Counters(setting)
        if counters is None or counters.setting.set_time < setting.set_time:
            self._counters[name] = fresh
        return fresh

    def answered(self, model: LoadedModel, query: Query, texts: Texts, prediction: Prediction[Any]) -> None:
        """A call was answered; perhaps it is mirrored. Costs a dictionary lookup where there is no shadow."""
        route = self._models.shadow_of(model.name)
        if route is None or not isinstance(query, ClassifyQuery) or not self._wanted(route, model, query):
            return
        served = [
            (text, _opinion(model.manifest, outcome))
            for text, outcome in zip(texts.inputs, prediction.outcomes, strict=True)
            if isinstance(outcome, Classification)
        ]
        if not served:
            return
        if len(self._running) >= MOST_IN_FLIGHT:
            self._drop(model.name, route, len(served))
            return
        # a context of its own: what is noted of the call must not hear of its mirror
        task = asyncio.create_task(self._mirror(model.name, route, query, served), context=Context())
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def _wanted(self, route: ShadowRoute, model: LoadedModel, query: ClassifyQuery) -> bool:
        asked = query.model
        return (
            not self._stopped
            and asked.version is None
            and asked.label is None
            and route.version != model.version
            and random.randrange(100) < route.setting.percent  # noqa: S311 - a share of calls, not a secret
        )

    async def _mirror(
        self, name: str, route: ShadowRoute, query: ClassifyQuery, served: Sequence[tuple[TextInput, Opinion]]
    ) -> None:
        mirrored = replace(
            query,
            model=ModelReference(name, version=route.version),
            deadline=asyncio.get_running_loop().time() + PATIENCE_S,
            options=replace(query.options, priority=Priority.LOW),
            inputs=[text for text, _ in served],
            coverage=None,
        )
        answered = 0
        try:
            manifest = self._models.get(mirrored.model).manifest
            prediction = await classify(self._pipeline, mirrored)
            for (_, opinion), outcome in zip(served, prediction.outcomes, strict=True):
                if isinstance(outcome, Classification):
                    self._compare(name, route, opinion, manifest, outcome)
                    answered += 1
        except Exception:  # noqa: S110 - a shadow may fail in any way: its texts are counted below
            pass
        finally:
            self._drop(name, route, len(served) - answered)

    def _compare(
        self, name: str, route: ShadowRoute, served: Opinion, manifest: Manifest, outcome: Classification
    ) -> None:
        counters = self.counters(name, route.setting)
        agreed = served.agrees(manifest, outcome)
        known = served.best in manifest.labels
        probability = float(outcome.probabilities[manifest.labels.index(served.best)]) if known else 0.0
        counters.compared += 1
        counters.disagreed += not agreed
        counters.difference += abs(served.probability - probability)
        self._count(name, route, "agreed" if agreed else "disagreed", 1)

    def _drop(self, name: str, route: ShadowRoute, texts: int) -> None:
        if texts:
            self.counters(name, route.setting).dropped += texts
            self._count(name, route, "dropped", texts)

    def _count(self, name: str, route: ShadowRoute, outcome: str, texts: int) -> None:
        self._metrics.shadow_texts.labels(name, str(route.version), outcome).inc(texts)

    async def stop(self) -> None:
        """Drops what is pending, and mirrors no more."""
        self._stopped = True
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)


def _opinion(manifest: Manifest, served: Classification) -> Opinion:
    best = int(served.probabilities.argmax())
    labels = applying(manifest, served.probabilities)
    return Opinion(labels, manifest.labels[best], float(served.probabilities[best]), _outside(served))


def _outside(outcome: Classification) -> bool:
    return outcome.scope is not None and outcome.scope.out_of_scope
