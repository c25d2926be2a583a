"""What of a report deserves a look, in sentences: the limits of the model as far as they were measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from training.headlines import headline
from training.report.contents import ClassScores, Robustness, SliceGroup
from training.report.wording import percent
from training.run import RunRecord

WEAK_F1 = 0.6
FEW_TEST_ROWS = 10
FLIPS = 0.05
"""Share of labels that may change under a perturbation before it is named."""
CALIBRATION = 0.05
NAMED = 5
DIFFERENCE = 1e-3


def attention(
    record: RunRecord,
    measured: float,
    classes: Sequence[ClassScores],
    groups: Sequence[SliceGroup],
    robustness: Robustness | None,
) -> list[str]:
    """`measured`: the headline of the test rows as the checkpoint gives it now."""
    found = [*_consistency(record, measured), *_classes(classes), *_slices(groups, measured)]
    error = record.metrics["test"].get("calibration_error", 0.0)
    if error > CALIBRATION:
        found.append(f"Probabilities are off by {percent(error)} on average: take them as a ranking, not as chances.")
    return found + (list(_robustness(robustness)) if robustness else [])


def _consistency(record: RunRecord, measured: float) -> Iterator[str]:
    metric, title = headline(record.task)
    known = record.metrics["test"][metric]
    if abs(known - measured) > DIFFERENCE:
        yield (
            f"The checkpoint's test {title} is {percent(measured)} here and was {percent(known)} after training: other "
            "libraries, or files that changed. Metrics are those after training; their intervals, labels, slices, mistakes and "
            "what else is said of single rows were measured here."
        )


def _classes(classes: Sequence[ClassScores]) -> Iterator[str]:
    weak = [each for each in classes if each.test_rows and each.f1 < WEAK_F1]
    if weak:
        named = ", ".join(f"{each.label} ({percent(each.f1)})" for each in weak[:NAMED])
        yield f"{_count(len(weak), 'label has', 'labels have')} an F1 below {percent(WEAK_F1)}: {named}{_more(weak)}."
    few = [each for each in classes if each.test_rows < FEW_TEST_ROWS]
    if few:
        yield (
            f"{_count(len(few), 'label has', 'labels have')} fewer than {FEW_TEST_ROWS} test rows, too few to know their "
            "F1 well."
        )


def _slices(groups: Sequence[SliceGroup], measured: float) -> Iterator[str]:
    for group in groups:
        for part in group.slices:
            if part.score.interval is not None and part.score.interval[1] < measured:
                yield (
                    f"Rows of {group.name} “{part.value}” do worse than the rest: {percent(part.score.value)} "
                    f"({part.rows} rows), {percent(measured)} overall."
                )


def _robustness(robustness: Robustness) -> Iterator[str]:
    for each in robustness.perturbations:
        if each.keeps_meaning and each.rows and each.flips > FLIPS * each.rows:
            yield (
                f"Under the perturbation “{each.name}” {percent(each.flips / each.rows)} of {each.rows} answers change; "
                f"{robustness.title} goes from {percent(each.before)} to {percent(each.after)}."
            )


def _count(number: int, one: str, several: str) -> str:
    return f"{number} {one if number == 1 else several}"


def _more(found: Sequence[object]) -> str:
    return ", ..." if len(found) > NAMED else ""
