"""Requests and replies of the model service as plain Python values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

from bertline.models.v1 import models_pb2 as pb

Target = int | str
"""A version, or a label."""


class VersionState(Enum):
    """Where a version stands on the server that was asked."""

    UNKNOWN = pb.VERSION_STATE_UNSPECIFIED
    AVAILABLE = pb.VERSION_STATE_AVAILABLE
    LOADING = pb.VERSION_STATE_LOADING
    LOADED = pb.VERSION_STATE_LOADED
    UNLOADING = pb.VERSION_STATE_UNLOADING
    FAILED = pb.VERSION_STATE_FAILED


@dataclass(frozen=True, slots=True)
class VersionStatus:
    """One version: the variant of a loaded one, the message of a failed one."""

    version: int
    state: VersionState
    variant: str
    message: str
    labels: list[str]


@dataclass(frozen=True, slots=True)
class ShadowStatus:
    """Who is asked, too, and what came of it on the server that was asked, in texts."""

    target: Target
    percent: int
    compared: int
    disagreed: int
    mean_probability_difference: float
    dropped: int


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """A model: versions newest first, labels, shares of the traffic in percent, shadow."""

    name: str
    versions: list[VersionStatus]
    labels: dict[str, int]
    split: dict[Target, int]
    shadow: ShadowStatus | None

    def version(self, number: int) -> VersionStatus:
        """One of its versions. Raises KeyError."""
        found = next((each for each in self.versions if each.version == number), None)
        if found is None:
            raise KeyError(number)
        return found


@dataclass(frozen=True, slots=True)
class VariantFacts:
    """One set of weights: fractions are in [0, 1]."""

    name: str
    precision: str
    device: str
    size_bytes: int
    agreement: float
    flips_with_batch_mates: float


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """A version and what its manifest says; `manifest_json` is all of it."""

    name: str
    status: VersionStatus
    task: str
    output_labels: list[str]
    max_length_tokens: int
    metrics: dict[str, dict[str, float]]
    variants: list[VariantFacts]
    create_time: datetime
    manifest_json: str


def version_request(name: str, version: int | None, label: str | None) -> pb.GetModelVersionRequest:
    """Raises ValueError for both version and label."""
    if version is not None and label is not None:
        raise ValueError("give version or label, not both")
    request = pb.GetModelVersionRequest(name=name)
    if version is not None:
        request.version = version
    if label is not None:
        request.label = label
    return request


def split_request(name: str, shares: dict[Target, int]) -> pb.SetTrafficSplitRequest:
    """Shares in percent."""
    return pb.SetTrafficSplitRequest(name=name, shares=[_share(target, percent) for target, percent in shares.items()])


def _share(target: Target, percent: int) -> pb.TrafficShare:
    if isinstance(target, int):
        return pb.TrafficShare(version=target, percent=percent)
    return pb.TrafficShare(label=target, percent=percent)


def shadow_request(name: str, target: Target | None, percent: int) -> pb.SetShadowRequest:
    """Without a target: no shadow."""
    if target is None:
        return pb.SetShadowRequest(name=name)
    if isinstance(target, int):
        return pb.SetShadowRequest(name=name, version=target, percent=percent)
    return pb.SetShadowRequest(name=name, label=target, percent=percent)


def models_of(models: Sequence[pb.Model]) -> list[ModelStatus]:
    """Each of them."""
    return [model_of(model) for model in models]


def model_of(model: pb.Model) -> ModelStatus:
    """The status of a model."""
    return ModelStatus(
        model.name,
        [_status(each) for each in model.versions],
        dict(model.labels),
        {_target(share): share.percent for share in model.traffic_split},
        _shadow(model.shadow) if model.HasField("shadow") else None,
    )


def facts_of(response: pb.GetModelVersionResponse) -> VersionFacts:
    """A version."""
    return VersionFacts(
        response.name,
        _status(response.status),
        response.task,
        list(response.output_labels),
        response.max_length_tokens,
        {each.name: dict(each.values) for each in response.metric_sets},
        [
            VariantFacts(
                each.name, each.precision, each.device, each.size_bytes, each.agreement, each.flips_with_batch_mates
            )
            for each in response.variants
        ],
        response.create_time.ToDatetime(UTC),
        response.manifest_json,
    )


def _status(status: pb.VersionStatus) -> VersionStatus:
    known = status.state in pb.VersionState.values()
    state = VersionState(status.state) if known else VersionState.UNKNOWN
    return VersionStatus(status.version, state, status.variant, status.message, list(status.labels))


def _shadow(shadow: pb.Shadow) -> ShadowStatus:
    return ShadowStatus(
        _target(shadow),
        shadow.percent,
        shadow.compared_count,
        shadow.disagreement_count,
        shadow.mean_probability_difference,
        shadow.dropped_count,
    )


def _target(message: pb.TrafficShare | pb.Shadow) -> Target:
    return message.label if message.WhichOneof("target") == "label" else message.version
