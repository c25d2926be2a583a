"""Messages of bertline.models.v1 to what the administration works with, and back."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime

from bertline.models.v1 import models_pb2 as pb

from export.manifest import Manifest, Variant
from export.serving import Shadow, Share, Target
from services.inference.administration import ModelView, VersionView
from services.inference.shadowing import Counters
from services.inference.validation import NAME
from services.inference.versions.holdings import State
from services.platform.failures import InvalidInput

STATES = {
    State.AVAILABLE: pb.VERSION_STATE_AVAILABLE,
    State.LOADING: pb.VERSION_STATE_LOADING,
    State.LOADED: pb.VERSION_STATE_LOADED,
    State.UNLOADING: pb.VERSION_STATE_UNLOADING,
    State.FAILED: pb.VERSION_STATE_FAILED,
}
TOKEN = "after:"  # noqa: S105 - of a page, not of a user


def model(view: ModelView) -> pb.Model:
    """A model."""
    message = pb.Model(
        name=view.name,
        versions=[status(each) for each in view.versions],
        labels=view.labels,
        traffic_split=[_share(each) for each in view.serving.split],
    )
    if view.serving.shadow is not None and view.counters is not None:
        message.shadow.CopyFrom(_shadow(view.serving.shadow, view.counters))
    return message


def status(view: VersionView) -> pb.VersionStatus:
    """A version on this server."""
    standing = view.standing
    return pb.VersionStatus(
        version=view.version,
        state=STATES[standing.state],
        variant=standing.variant,
        message=standing.message,
        labels=view.labels,
    )


def _share(share: Share) -> pb.TrafficShare:
    target = share.target
    if target.label is not None:
        return pb.TrafficShare(label=target.label, percent=share.percent)
    return pb.TrafficShare(version=target.version or 0, percent=share.percent)


def _shadow(shadow: Shadow, counters: Counters) -> pb.Shadow:
    message = pb.Shadow(
        percent=shadow.percent,
        compared_count=counters.compared,
        disagreement_count=counters.disagreed,
        mean_probability_difference=counters.mean_difference,
        dropped_count=counters.dropped,
    )
    if shadow.target.label is not None:
        message.label = shadow.target.label
    else:
        message.version = shadow.target.version or 0
    return message


def version_response(view: VersionView, manifest: Manifest) -> pb.GetModelVersionResponse:
    """A version with what its manifest says."""
    response = pb.GetModelVersionResponse(
        name=manifest.name,
        status=status(view),
        task=manifest.task,
        output_labels=manifest.labels,
        max_length_tokens=manifest.max_length,
        metric_sets=[pb.MetricSet(name=name, values=values) for name, values in sorted(manifest.metrics.items())],
        variants=[_variant(variant) for variant in manifest.variants],
        manifest_json=manifest.model_dump_json(),
    )
    made = datetime.fromisoformat(manifest.create_time)
    response.create_time.FromDatetime(made if made.tzinfo is None else made.astimezone(UTC).replace(tzinfo=None))
    return response


def _variant(variant: Variant) -> pb.VariantInfo:
    return pb.VariantInfo(
        name=variant.name,
        precision=variant.precision,
        device=variant.device,
        size_bytes=variant.file.size_bytes,
        agreement=variant.parity.agreement,
        flips_with_batch_mates=variant.parity.flips_with_batch_mates,
    )


def page_token(after: str) -> str:
    """An opaque token for what comes after a name; empty for nothing."""
    return base64.urlsafe_b64encode(f"{TOKEN}{after}".encode()).decode() if after else ""


def after(token: str) -> str:
    """The name in a page token. Raises InvalidInput for one that this server never gave."""
    if not token:
        return ""
    try:
        content = base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError):
        content = ""
    name = content.removeprefix(TOKEN)
    if name == content or not NAME.fullmatch(name):
        raise InvalidInput("not a page token of an earlier response", "page_token", "MALFORMED_PAGE_TOKEN")
    return name


def selection(request: pb.GetModelVersionRequest) -> tuple[int | None, str | None]:
    """Version and label that are asked for; at most one of them."""
    which = request.WhichOneof("selection")
    return request.version if which == "version" else None, request.label if which == "label" else None


def shares(request: pb.SetTrafficSplitRequest) -> list[tuple[Target, int]]:
    """Targets and percent. Raises InvalidInput for a share without a target, or a malformed one."""
    found = []
    for position, share in enumerate(request.shares):
        target = _target(share, f"shares[{position}]")
        if target is None:
            raise InvalidInput("say who gets it: version or label", f"shares[{position}].target", "TARGET_MISSING")
        found.append((target, share.percent))
    return found


def shadow(request: pb.SetShadowRequest) -> Target | None:
    """The target; None to stop mirroring. Raises InvalidInput for a malformed one."""
    return _target(request, "")


def _target(message: pb.TrafficShare | pb.SetShadowRequest, path: str) -> Target | None:
    which = message.WhichOneof("target")
    if which is None:
        return None
    field = f"{path}.{which}".removeprefix(".")
    if which == "label":
        if not NAME.fullmatch(message.label) or message.label.isdigit():
            raise InvalidInput("not a label", field, "MALFORMED_NAME")
        return Target(label=message.label)
    if message.version < 1:
        raise InvalidInput("a version is 1 or greater", field, "OUT_OF_RANGE")
    return Target(version=message.version)
