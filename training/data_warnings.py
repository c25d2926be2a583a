"""What a person should look at in the data before training on it."""

from __future__ import annotations

from training.data_report import ClassReport, LengthReport
from training.findings import Findings

IMBALANCE = 10.0
SMALL_CLASS = 20
LONG = 512
"""Tokens, the most that BERT reads."""


def unequal_classes(classes: list[ClassReport], weighed: bool) -> list[str]:
    """Of classes that have too few rows; `weighed`: rare ones count more by themselves."""
    warnings = []
    most = max(classes, key=lambda c: c.total, default=None)
    least = min(classes, key=lambda c: c.total, default=None)
    if most is not None and least is not None and most.total > IMBALANCE * least.total:
        warnings.append(
            f"{most.label!r} has {most.total} rows, {least.label!r} {least.total}: "
            + ("class weights are applied; more rows help more" if weighed else "more rows of the rare ones help")
        )
    if small := [each.label for each in classes if each.total < SMALL_CLASS]:
        warnings.append(
            f"{_counted(len(small), 'class has', 'classes have')} fewer than {SMALL_CLASS} rows "
            f"({', '.join(small[:5])}): their scores are noisy"
        )
    return warnings


def warnings_of(findings: Findings, named_leaks: dict[str, int], lengths: LengthReport) -> list[str]:
    """Of everything else; `named_leaks` are texts that stand in two splits, as the report names them."""
    warnings = []
    if findings.duplicates.conflicts:
        warnings.append(
            f"{_counted(len(findings.duplicates.conflicts), 'text occurs', 'texts occur')} with different labels: "
            "review the labels"
        )
    if findings.duplicates.similar_with_other_label:
        warnings.append(
            f"{_counted(findings.duplicates.similar_with_other_label, 'text nearly repeats', 'texts nearly repeat')} one "
            "with another label: review the labels"
        )
    warnings += [
        f"{_counted(count, 'text stands', 'texts stand')} in both {names}: the scores will flatter"
        for names, count in named_leaks.items()
    ]
    warnings += [
        f"the labels {', '.join(map(repr, names))} look like one label spelled differently"
        for names in findings.label_variants
    ]
    if findings.reading.unlabelled:
        warnings.append(f"left out: {_counted(findings.reading.unlabelled, 'row has', 'rows have')} no label")
    if lengths.unit == "tokens" and lengths.longest > LONG:
        warnings.append(
            f"the longest text has {lengths.longest} tokens: what exceeds max_length is not read by the model"
        )
    return warnings


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"
