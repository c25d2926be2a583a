"""What each version must answer to each text, computed in process, the text alone."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.limit import Limit, Model
from benchmarks.texts import Text
from export.bundle import Bundle


class Expectations:
    """A table: version -> labels in the order of the texts."""

    def __init__(self, bundles: Sequence[Bundle], texts: Sequence[Text]) -> None:
        self._labels = {bundle.manifest.version: labels_of(bundle, texts) for bundle in bundles}

    @property
    def versions(self) -> list[int]:
        """Versions that may answer."""
        return list(self._labels)

    def right(self, version: int, number: int, label: str) -> bool:
        """Whether it is what that version answers to that text."""
        known = self._labels.get(version)
        return known is not None and known[number] == label

    @property
    def telling(self) -> int:
        """Texts that the versions answer differently, so that a reply under a wrong version would show."""
        return sum(len(set(labels)) > 1 for labels in zip(*self._labels.values(), strict=True))


def labels_of(bundle: Bundle, texts: Sequence[Text]) -> list[str]:
    """Labels by the bundle's preferred variant."""
    manifest = bundle.manifest
    graph = bundle.file(manifest.variants[0].file)
    model = Model(graph, bundle.file(manifest.tokenizer), manifest.max_length, manifest.pad_token_id)
    limit = Limit(model)
    return [manifest.labels[int(limit.logits(text).argmax())] for text in texts]
