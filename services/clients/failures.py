"""What a call can end with, as exceptions; a text that failed alone is a value, `ItemError`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2, status_pb2


@dataclass(frozen=True, slots=True)
class ErrorDetails:
    """What a server says about an error. `reason` is machine-readable, such as MODEL_NOT_FOUND."""

    code: str
    message: str
    reason: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    violations: dict[str, str] = field(default_factory=dict)
    """Path of the field -> what is wrong with it."""
    retry_after_s: float | None = None
    correlation_id: str = ""


class CallFailed(Exception):
    """The call as a whole failed."""

    def __init__(self, details: ErrorDetails) -> None:
        trace = f" [correlation id {details.correlation_id}]" if details.correlation_id else ""
        super().__init__(f"{details.code}: {details.message}{trace}")
        self.details = details


class InvalidRequest(CallFailed):
    """INVALID_ARGUMENT: the request can never work; see `details.violations`."""


class NotFound(CallFailed):
    """NOT_FOUND: no such model, version or label."""


class Overloaded(CallFailed):
    """RESOURCE_EXHAUSTED: try again after `details.retry_after_s`."""


class DeadlineExceeded(CallFailed):
    """DEADLINE_EXCEEDED: no answer within the timeout."""


class Unavailable(CallFailed):
    """UNAVAILABLE, also after the retries: the server is away or draining."""


KINDS: dict[grpc.StatusCode, type[CallFailed]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Overloaded,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
}


def failure_of(error: grpc.RpcError) -> CallFailed:
    """The exception of a failed call, sync or async."""
    code: grpc.StatusCode = error.code()
    metadata: Any = error.trailing_metadata()  # an iterable of pairs, which grpc's types do not say
    trailing = {str(key): value for key, value in (metadata or ())}
    packed = trailing.get("grpc-status-details-bin")
    correlation = str(trailing.get("x-correlation-id", ""))
    if isinstance(packed, bytes):
        details = details_of(status_pb2.Status.FromString(packed), correlation)
    else:
        details = ErrorDetails(code.name, error.details() or "", correlation_id=correlation)
    return KINDS.get(code, CallFailed)(details)


def details_of(status: status_pb2.Status, correlation_id: str = "") -> ErrorDetails:
    """Reads the details of AIP-193 out of a status."""
    info = error_details_pb2.ErrorInfo()
    bad = error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    retry_after: float | None = None
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(bad)
        if detail.Unpack(retry):
            delay: duration_pb2.Duration = retry.retry_delay
            retry_after = delay.ToNanoseconds() / 1e9
    name = next((code.name for code in grpc.StatusCode if code.value[0] == status.code), str(status.code))
    return ErrorDetails(
        name,
        status.message,
        info.reason,
        dict(info.metadata),
        {violation.field: violation.description for violation in bad.field_violations},
        retry_after,
        correlation_id,
    )
