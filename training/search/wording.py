"""How results are put into words, alike on the terminal, on the page and in the settings file."""

from __future__ import annotations

from training.search.results import StudyResult, TrialResult


def percent(score: float | None) -> str:
    """A score in [0, 1] as a percentage."""
    return "" if score is None else f"{100 * score:.1f} %"


def shown_value(value: int | float | str) -> str:
    """A setting's value with the digits that matter."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def shown_parameters(trial: TrialResult) -> str:
    """Names and values in one line."""
    return ", ".join(f"{name} {shown_value(value)}" for name, value in trial.parameters.items())


def verdict(result: StudyResult, rows: int) -> str:
    """How far the best trial is ahead of the start, and how much of that chance can explain."""
    best, start = result.best, result.start
    if best is None or best.score is None:
        return "No trial was completed."
    # one row more on either side (Laplace): a score of 100 % leaves doubt, too
    share = (best.score * rows + 1) / (rows + 2)
    error = (share * (1 - share) / rows) ** 0.5
    chance = f"One standard error on {rows:,} validation rows is {100 * error:.1f} points"
    if start is None or start.score is None:
        return f"{chance}. The settings that the search started from were not completed."
    if best.start:
        return f"Nothing beat the settings that the search started from. {chance}."
    ahead = 100 * (best.score - start.score)
    doubt = "" if ahead > 100 * error else ", which may be chance alone"
    return (
        f"{ahead:.1f} points above the start{doubt}. {chance}, and the best of {len(result.complete)} scores flatters: "
        "the test split, which the search did not see, decides."
    )
