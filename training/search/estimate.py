"""How long the trials that are left will take, judged by those that are done."""

from __future__ import annotations

from datetime import datetime

from training.search.results import StudyResult


def seconds_left(result: StudyResult, limit: int, now: datetime) -> float | None:
    """Expected seconds until `limit` trials are done; None while none is, since trials differ too much to guess.

    Each trial to come is expected to take the mean of those done, pruned ones included; a running one what is missing of
    that mean. The work is shared by as many workers as have a trial now.

    Args:
        now: Local time without a zone, which is what Optuna records.
    """
    durations = [trial.seconds for trial in result.finished if trial.seconds is not None]
    if not durations:
        return None
    mean = sum(durations) / len(durations)
    running = [max(0.0, mean - (now - trial.began).total_seconds()) for trial in result.running if trial.began]
    to_come = max(0, limit - len(result.finished) - len(running))
    return max([*running, (sum(running) + to_come * mean) / max(1, len(running))])


def in_words(seconds: float | None) -> str:
    """A duration as exact as an estimate can be."""
    if seconds is None:
        return "time left not known yet"
    if seconds < 90:
        return f"about {max(10, round(seconds, -1)):.0f} s left"
    if seconds < 5400:
        return f"about {seconds / 60:.0f} min left"
    return f"about {seconds / 3600:.1f} h left"
