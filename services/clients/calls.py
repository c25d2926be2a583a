"""What every call of a client carries: a timeout and a correlation id."""

from __future__ import annotations

from dataclasses import dataclass

from services.platform import correlation


@dataclass(frozen=True, slots=True)
class CallOptions:
    """Options of one call, or a client's defaults for all of its calls."""

    timeout_s: float
    correlation_id: str = ""

    def __post_init__(self) -> None:
        if not self.timeout_s > 0:
            raise ValueError(f"timeout_s must be above 0, not {self.timeout_s}")
        if self.correlation_id and not correlation.ALLOWED.fullmatch(self.correlation_id):
            raise ValueError("correlation_id: 1 to 128 of letters, digits and . _ : / + = @ -")

    def for_call(self, timeout_s: float | None, correlation_id: str | None) -> CallOptions:
        """These options where the call brings none of its own; a call without any correlation id gets a new one."""
        return CallOptions(
            self.timeout_s if timeout_s is None else timeout_s,
            correlation_id or self.correlation_id or correlation.correlation_id(None),
        )

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Metadata to send with the call."""
        return ((correlation.KEY, self.correlation_id),)
