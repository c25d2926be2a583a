"""What a failed call says, read out of its status."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2


@dataclass(frozen=True, slots=True)
class Failed:
    """Code, reason and the field that is to blame ("" where none is)."""

    code: str
    reason: str
    field: str
    message: str


def failed(status: status_pb2.Status) -> Failed:
    """Reads a status, of a call or of one item. Every one must carry ErrorInfo of our domain."""
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(bad)
    assert info.domain == "bertline"
    assert info.reason
    code = next(code.name for code in grpc.StatusCode if code.value[0] == status.code)
    field = bad.field_violations[0].field if bad.field_violations else ""
    return Failed(code, info.reason, field, status.message)


def status_of(error: grpc.RpcError) -> status_pb2.Status:
    """The status that came with an error, which is that of the error."""
    trailing = dict(error.trailing_metadata())  # type: ignore[attr-defined]
    status = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
    assert error.code().value[0] == status.code  # type: ignore[attr-defined]
    return status


def failure(call: Callable[[], object]) -> Failed:
    """Makes a call that must fail."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return failed(status_of(caught.value))
