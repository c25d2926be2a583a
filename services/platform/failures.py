"""What can go wrong while serving, as facts. Nothing here knows gRPC: `statuses` maps the classes to codes."""

from __future__ import annotations


class Failure(Exception):
    """Base of every error that a caller may see. `reason` is stable and machine-readable, `message` is for people.

    `metadata` carries facts a program may act on; never the caller's text, never a secret.
    """

    reason = "INTERNAL"

    def __init__(self, message: str, **metadata: str) -> None:
        super().__init__(message)
        self.message = message
        self.metadata = metadata


class InvalidInput(Failure):
    """The caller sent something that can never work. `field` is the offending field's path, as in `inputs[3].text`."""

    reason = "INVALID_INPUT"

    def __init__(self, message: str, field: str, reason: str | None = None, **metadata: str) -> None:
        super().__init__(message, **metadata)
        self.field = field
        if reason is not None:
            self.reason = reason


class ModelNotFound(Failure):
    """No loaded model answers to the name, version or label."""

    reason = "MODEL_NOT_FOUND"


class TaskNotServed(Failure):
    """The model was made for another task than the one that the call asks for."""

    reason = "TASK_NOT_SERVED"


class Precondition(Failure):
    """What was asked for makes sense and cannot be done as things stand; the message says what stands in the way."""

    def __init__(self, message: str, reason: str, **metadata: str) -> None:
        super().__init__(message, **metadata)
        self.reason = reason


class Overloaded(Failure):
    """The queue is full; trying again after `retry_after_s` seconds is sensible."""

    reason = "OVERLOADED"

    def __init__(self, message: str, retry_after_s: float, **metadata: str) -> None:
        super().__init__(message, **metadata)
        self.retry_after_s = retry_after_s


class DeadlineExceeded(Failure):
    """The caller's deadline passed before the work was done."""

    reason = "DEADLINE_EXCEEDED"


class Draining(Failure):
    """The server is shutting down and takes no new work."""

    reason = "DRAINING"


class InferenceFailed(Failure):
    """The runtime failed on a batch: our fault, not the caller's."""

    reason = "INFERENCE_FAILED"
