"""What a call can end with, as exceptions; a text that failed alone is a value, `ItemError`."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.message import DecodeError
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


class FailedPrecondition(CallFailed):
    """FAILED_PRECONDITION: it makes sense, but not as things stand; `details.reason` says what stands in the way."""


class Overloaded(CallFailed):
    """RESOURCE_EXHAUSTED: try again after `details.retry_after_s`."""


class MessageTooLarge(CallFailed):
    """RESOURCE_EXHAUSTED by gRPC itself: the request or the reply is over a size limit. Send fewer texts a call."""


class DeadlineExceeded(CallFailed):
    """DEADLINE_EXCEEDED: no answer within the timeout."""


class Unavailable(CallFailed):
    """UNAVAILABLE, also after the retries: the server is away or draining."""


KINDS: dict[grpc.StatusCode, type[CallFailed]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPrecondition,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Overloaded,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
}


def failure_of(error: grpc.RpcError, correlation_id: str) -> CallFailed:
    """The exception of a failed call, sync or async."""
    code: grpc.StatusCode = error.code()
    details = _details(error, code, correlation_id)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and not details.reason:
        return MessageTooLarge(details)
    return KINDS.get(code, CallFailed)(details)


def failure_of_status(status: status_pb2.Status, correlation_id: str) -> CallFailed:
    """The exception of a request that failed inside a stream."""
    details = details_of(status, correlation_id)
    return next((kind for code, kind in KINDS.items() if code.name == details.code), CallFailed)(details)


def _details(error: grpc.RpcError, code: grpc.StatusCode, correlation_id: str) -> ErrorDetails:
    """What the server says of the error; what gRPC says, where the error is its own or a proxy's."""
    metadata: Any = error.trailing_metadata()  # an iterable of pairs, which grpc's types do not say
    packed = next((value for key, value in metadata or () if key == "grpc-status-details-bin"), None)
    if isinstance(packed, bytes):
        with contextlib.suppress(DecodeError):
            return details_of(status_pb2.Status.FromString(packed), correlation_id)
    return ErrorDetails(code.name, error.details() or "", correlation_id=correlation_id)


def details_of(status: status_pb2.Status, correlation_id: str = "") -> ErrorDetails:
    """Reads the details of AIP-193 out of a status."""
    info = error_details_pb2.ErrorInfo()
    bad = error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    retry_after_s: float | None = None
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(bad)
        if detail.Unpack(retry):
            retry_after_s = retry.retry_delay.ToNanoseconds() / 1e9
    return ErrorDetails(
        next((code.name for code in grpc.StatusCode if code.value[0] == status.code), str(status.code)),
        status.message,
        info.reason,
        dict(info.metadata),
        {violation.field: violation.description for violation in bad.field_violations},
        retry_after_s,
        correlation_id,
    )
