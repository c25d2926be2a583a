"""The one table from failure to gRPC status, with the details that Google's API guidelines (AIP-193) ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from services.platform.failures import (
    DeadlineExceeded,
    Draining,
    Failure,
    InferenceFailed,
    InvalidInput,
    ModelNotFound,
    Overloaded,
    Precondition,
    TaskNotServed,
)

if TYPE_CHECKING:
    from google.protobuf.message import Message

DOMAIN = "bertline"
DETAILS_KEY = "grpc-status-details-bin"

CODES: dict[type[Failure], grpc.StatusCode] = {
    InvalidInput: grpc.StatusCode.INVALID_ARGUMENT,
    ModelNotFound: grpc.StatusCode.NOT_FOUND,
    TaskNotServed: grpc.StatusCode.FAILED_PRECONDITION,
    Precondition: grpc.StatusCode.FAILED_PRECONDITION,
    Overloaded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    DeadlineExceeded: grpc.StatusCode.DEADLINE_EXCEEDED,
    Draining: grpc.StatusCode.UNAVAILABLE,
    InferenceFailed: grpc.StatusCode.INTERNAL,
    Failure: grpc.StatusCode.INTERNAL,
}


def code_of(failure: Failure) -> grpc.StatusCode:
    """The status of the nearest class of the failure that the table holds."""
    return next(CODES[kind] for kind in type(failure).__mro__ if kind in CODES)


def status_of(failure: Failure) -> status_pb2.Status:
    """google.rpc.Status with ErrorInfo, and BadRequest or RetryInfo where they apply."""
    details: list[Message] = [
        error_details_pb2.ErrorInfo(reason=failure.reason, domain=DOMAIN, metadata=failure.metadata)
    ]
    if isinstance(failure, InvalidInput):
        violation = error_details_pb2.BadRequest.FieldViolation(field=failure.field, description=failure.message)
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if isinstance(failure, Overloaded):
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(int(failure.retry_after_s * 1e9))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    number: int = code_of(failure).value[0]
    return status_pb2.Status(code=number, message=failure.message, details=[_packed(detail) for detail in details])


async def abort(context: grpc.aio.ServicerContext[Any, Any], failure: Failure, correlation_id: str) -> NoReturn:
    """Ends the call with the failure's status. Raises, as grpc's abort does; nothing may catch what it raises."""
    trailing = (("x-correlation-id", correlation_id), (DETAILS_KEY, status_of(failure).SerializeToString()))
    await context.abort(code_of(failure), failure.message, trailing)
    raise AssertionError("abort returned")


def _packed(message: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed
