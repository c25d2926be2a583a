"""The loaded models of one server: which version answers to which name, version or label, and who is using it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from services.inference.loading import LoadedModel
from services.inference.queries import ModelReference
from services.inference.versions.routing import Routing, ShadowRoute


class NothingLoaded(Exception):
    """No model at all could be loaded; the message says why for each."""


class Models:
    """What calls see. `reconciliation` decides what that is, and replaces it as a whole."""

    def __init__(self) -> None:
        self._routing = Routing({}, {})

    def switch(self, routing: Routing) -> None:
        """From now on calls are answered by this; those that run keep the version they have."""
        self._routing = routing

    @contextmanager
    def use(self, reference: ModelReference, routing_key: str = "") -> Iterator[LoadedModel]:
        """The loaded version that answers a call, which stays loaded for the length of the block.

        Callers with equal keys meet the same version while traffic is split. Raises ModelNotFound, saying what is loaded.
        """
        lease = self._routing.choose(reference, routing_key)
        lease.enter()
        try:
            yield lease.model
        finally:
            lease.leave()

    def get(self, reference: ModelReference) -> LoadedModel:
        """The loaded version that a reference means, whatever the traffic split. Raises ModelNotFound."""
        return self._routing.find(reference).model

    def shadow_of(self, name: str) -> ShadowRoute | None:
        """Who is asked, too, when the model is asked."""
        return self._routing.shadows.get(name)

    def loaded(self) -> list[LoadedModel]:
        """All loaded versions, by name and version."""
        return [
            routes.versions[version].model
            for _, routes in sorted(self._routing.models.items())
            for version in sorted(routes.versions)
        ]

    def labels_of(self, name: str) -> dict[str, int]:
        """Labels of a model, and the loaded versions that answer for them."""
        routes = self._routing.models.get(name)
        return dict(routes.labels) if routes is not None else {}
