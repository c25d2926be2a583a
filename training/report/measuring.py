"""Everything about the answers of a classifier's checkpoint: computes the answers once and looks at them from all sides."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from training.dataset import Split
from training.duplicates import Progress
from training.evaluation import LabelScores, evaluate, uncertainty
from training.headlines import HEADLINES, headline
from training.intervals import Interval
from training.report.answers import Answers, answers
from training.report.attention import attention
from training.report.contents import ClassScores, Headline, Score
from training.report.explanations import explanations
from training.report.finished_model import FinishedModel
from training.report.mistakes import confusions, matrix, mistakes
from training.report.robustness import robustness
from training.report.settings import ReportSettings
from training.report.slices import slices
from training.report.wording import title_of
from training.run import RunDirectory, RunRecord
from training.tasks.multi_label_evaluation import evaluate_labels, uncertainty_of_labels

SEED = 13
"""Of what is drawn: the rows that are perturbed, how, and those that are explained."""
TASK = "evaluation report"


def measured_parts(
    run: RunDirectory, record: RunRecord, settings: ReportSettings, progress: Progress
) -> dict[str, Any]:
    """The parts of an `EvaluationReport` that need the checkpoint; a function of the run and the settings."""
    progress(TASK, 0, 4)
    model = FinishedModel(run, record)
    rows = {split: list(run.examples(split)) for split in (Split.VALIDATION, Split.TEST)}
    encoded = {split: model.encoded(examples) for split, examples in rows.items()}
    logits = {split: model.logits(encoded[split]) for split in rows}
    given = {split: answers(record, logits[split], rows[split]) for split in rows}
    test, examples = given[Split.TEST], rows[Split.TEST]
    progress(TASK, 1, 4)
    classes = _classes(record, test, Counter(label for row in run.examples(Split.TRAIN) for label in row.given))
    groups = slices(examples, test, encoded[Split.TEST].lengths, record.max_length)
    intervals = {split: _intervals(each) for split, each in given.items()}
    progress(TASK, 2, 4)
    _, title = headline(record.task)
    robust = (
        robustness(
            model,
            lambda changed, of: answers(record, model.logits(changed), of),
            examples,
            test,
            settings.robustness_rows,
            SEED,
            title,
        )
        if settings.robustness_rows
        else None
    )
    progress(TASK, 3, 4)
    explained = explanations(model, examples, test, settings.explained_rows, SEED) if settings.explained_rows else []
    progress(TASK, 4, 4)
    return {
        "headlines": headlines(record, intervals),
        "attention": attention(record, test.score, classes, groups, robust),
        "classes": classes,
        "slices": groups,
        "slice_title": title,
        "slice_overall": test.score,
        "matrix": matrix(test),
        "confusions": confusions(test),
        "mistakes": mistakes(examples, test),
        "wrong": int((~test.exact).sum()),
        "robustness": robust,
        "explanations": explained,
    }


def headlines(record: RunRecord, intervals: dict[Split, dict[str, Interval]]) -> list[Headline]:
    """The metrics of the run's record, by its task's table; those that the record lacks are left out."""

    def score(split: Split, metric: str) -> Score | None:
        value = record.metrics.get(split.value, {}).get(metric)
        return None if value is None else Score(value=value, interval=intervals.get(split, {}).get(metric))

    rows = [
        Headline(
            metric=metric,
            title=title_of(metric, title),
            validation=score(Split.VALIDATION, metric),
            test=score(Split.TEST, metric),
        )
        for metric, title in HEADLINES[record.task].items()
    ]
    return [row for row in rows if row.validation is not None or row.test is not None]


def _intervals(given: Answers) -> dict[str, Interval]:
    if given.several:
        return uncertainty_of_labels(given.given, given.right)
    return uncertainty(given.probabilities, given.right.argmax(axis=1))


def _classes(record: RunRecord, test: Answers, train: Counter[str]) -> list[ClassScores]:
    if record.thresholds is None:
        found = evaluate(test.probabilities, test.right.argmax(axis=1), record.labels).per_class
    else:
        found = evaluate_labels(
            test.probabilities, test.right.astype(np.float32), record.labels, record.thresholds
        ).per_label
    classes = [_class(each, train) for each in found]
    # labels without a test row have no F1; they stand last
    return sorted(classes, key=lambda each: (each.test_rows == 0, each.f1, each.label))


def _class(scores: LabelScores, train: Counter[str]) -> ClassScores:
    threshold = scores.get("threshold")
    return ClassScores(
        label=str(scores["label"]),
        precision=float(scores["precision"]),
        recall=float(scores["recall"]),
        f1=float(scores["f1"]),
        train_rows=train[str(scores["label"])],
        test_rows=int(scores["rows"]),
        threshold=None if threshold is None else float(threshold),
    )
