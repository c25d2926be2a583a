"""What is learned of a call while it is worked on, for metrics, logs and traces: names and numbers, never texts."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class CallFacts:
    """The model that answered and what its work was; times are `time.perf_counter()`, 0.0 until they happened.

    Where a call goes to the model more than once, texts and tokens add up and the slowest trip counts.
    """

    model: str = ""
    """Name of the loaded model; empty where the call found none, whatever name the caller asked for."""
    version: int = 0
    variant: str = ""
    texts: int = 0
    tokens: int = 0
    tokenization_begun: float = 0.0
    tokenization_ended: float = 0.0
    queued: float = 0.0
    queue_s: float = 0.0
    inference_s: float = 0.0
    batch_texts: int = 0
    """Texts of the largest batch that one of the call's texts travelled in."""

    def served_by(self, name: str, version: int, variant: str) -> None:
        """The model was found."""
        self.model, self.version, self.variant = name, version, variant

    def tokenized(self, begun: float, ended: float) -> None:
        """Texts were tokenized in that time."""
        self.tokenization_begun, self.tokenization_ended = begun, ended

    def computed(self, queued: float, queue_s: float, inference_s: float, batch_texts: int) -> None:
        """The model answered; what entered the queue at `queued` waited and was computed so long."""
        if queue_s + inference_s >= self.queue_s + self.inference_s:
            self.queued, self.queue_s, self.inference_s = queued, queue_s, inference_s
        self.batch_texts = max(self.batch_texts, batch_texts)


_CURRENT: ContextVar[CallFacts | None] = ContextVar("facts", default=None)


def begin() -> CallFacts:
    """New facts, which `current` gives to whatever works on this call: the task, and those that it starts."""
    facts = CallFacts()
    _CURRENT.set(facts)
    return facts


def current() -> CallFacts:
    """The facts of the call that is being worked on; outside of calls some that nobody reads."""
    return _CURRENT.get() or CallFacts()
