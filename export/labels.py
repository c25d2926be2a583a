"""Which version "stable", "canary", ... stand for, and what they stood for before: the content of labels.json. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import Field

from export.contract import Contract

LABELS = "labels.json"
HISTORY = 1_000


class LabelChange(Contract):
    """One line of a label's history. `version` None: the label was removed."""

    label: str
    version: int | None
    previous: int | None
    time: str


class Labels(Contract):
    """Content of labels.json."""

    schema_version: int = 1
    labels: dict[str, int] = Field(default={})
    history: list[LabelChange] = Field(default=[])

    def pointed(self, label: str, version: int | None) -> Labels:
        """With the label pointing at a version, or without it; unchanged where it already is so."""
        previous = self.labels.get(label)
        if previous == version:
            return self
        labels = {key: value for key, value in self.labels.items() if key != label}
        if version is not None:
            labels[label] = version
        now = datetime.now(UTC).isoformat(timespec="seconds")
        change = LabelChange(label=label, version=version, previous=previous, time=now)
        return Labels(labels=labels, history=[*self.history, change][-HISTORY:])

    def former(self, label: str) -> int | None:
        """What the label stood for when it was first pointed at its version; so rolling back twice goes back twice."""
        current = self.labels.get(label)
        changes = (change for change in self.history if change.label == label)
        first = next((change for change in changes if change.version == current), None)
        return first.previous if first is not None else None
