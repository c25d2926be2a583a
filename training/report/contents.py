"""What the report says, as stored in evaluation/report.json. Shares, scores and probabilities are in [0, 1]."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from training.report.settings import ReportSettings


class Part(BaseModel):
    """Base of the report's parts."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Score(Part):
    """A measured value with its 95 % bootstrap interval, where one is known."""

    value: float
    interval: tuple[float, float] | None = None


class Headline(Part):
    """One metric of the run on the two splits that are measured."""

    metric: str
    title: str
    validation: Score | None
    test: Score | None


class ClassScores(Part):
    """One label on the test rows."""

    label: str
    precision: float
    recall: float
    f1: float
    train_rows: int
    test_rows: int
    threshold: float | None
    """Where texts can have several labels: the probability from which this one is given."""


class Slice(Part):
    """The test rows that have something in common."""

    value: str
    rows: int
    score: Score
    few: bool
    """So few rows that the score says little; it has no interval then."""


class SliceGroup(Part):
    """One way of parting the test rows."""

    name: str
    slices: list[Slice]


class Confusion(Part):
    """Test rows of which one label was missed and another given in its place."""

    truth: str
    predicted: str
    count: int
    share: float
    """Of the rows that have the true label."""
    reverse: int
    """Rows the other way round."""


class Mistake(Part):
    """A test row that was answered wrong."""

    line: int
    """1-based, in data/test.jsonl."""
    text: str
    text_pair: str | None
    truth: list[str]
    predicted: list[str]
    probability: float
    """That the model stated for its wrong decision."""


class Perturbed(Part):
    """How the answers changed when the texts did. Scores are of the rows whose text the perturbation changes at all."""

    name: str
    what: str
    keeps_meaning: bool
    rows: int
    before: float
    after: float
    flips: int
    """Rows that get other labels than before, right or wrong."""
    example: tuple[str, str] | None
    """A text before and after: one that flipped, if there is any."""


class Robustness(Part):
    """The perturbations of a sample of the test rows."""

    rows: int
    title: str
    """Of the metric that `before` and `after` are of."""
    perturbations: list[Perturbed]


class Piece(Part):
    """A stretch of a text, and what it adds to the explained label's logit; None: the model does not see it as a word."""

    text: str
    weight: float | None


class Explained(Part):
    """What one answer rests on."""

    line: int
    """1-based, in data/test.jsonl."""
    pieces: list[Piece]
    pair_pieces: list[Piece]
    truth: list[str]
    predicted: list[str]
    label: str
    """The one that is explained."""
    probability: float
    """Stated for it."""
    right: bool
    difference: float
    """The label's logit of the text, less that of the same text with all words blanked."""
    completeness_error: float
    """The pieces' and special tokens' weights should sum to `difference`; so far they are off."""


class DataBrief(Part):
    """The data report in brief."""

    path: str
    rows_read: int
    rows_kept: int
    left_out: dict[str, int]
    warnings: list[str]


class Reproduction(Part):
    """What is needed to train the same model again."""

    settings: str
    """YAML for `fit --config`."""
    seed: int | None
    host: str
    """Where the report was made."""


class VariantRow(Part):
    """One exported file. `agreement` and `validation` are of validation rows, `test` of test rows."""

    name: str
    size_bytes: int
    texts_per_second: float | None
    agreement: float
    validation: float
    test: float
    flips: float
    """Share of rows whose answer changes with batch mates."""
    lost: str = ""
    """Points of the metric lost on the validation rows, with their interval; empty in reports of before."""


class Variants(Part):
    """What an export made of the run, fastest first."""

    model: str
    version: int | None
    """None before it is published."""
    metric: str
    agreement: str
    drift: str
    """Titles of two columns, which differ by task."""
    agreement_metric: str = "agreement"
    """How the first of them is written: by `as_shown`."""
    meaning: str
    """Of these titles."""
    compared_rows: int
    measured_on: str
    proof: str = ""
    """What the comparison rests on, as a sentence; empty in reports of before."""
    rows: list[VariantRow]


class EvaluationReport(Part):
    """All of it. A part that does not apply to the task, or was left out, is empty or None."""

    schema_version: Literal[1] = 1
    run_create_time: str
    step_fingerprint: str
    """With the time: of the run that this report is about."""
    settings: ReportSettings
    headlines: list[Headline]
    attention: list[str]
    """What stands out, one sentence each."""
    classes: list[ClassScores] = []
    """Worst F1 first."""
    slices: list[SliceGroup] = []
    slice_title: str = ""
    slice_overall: float | None = None
    """The same of all test rows, measured with the slices; None in reports of before it was kept."""
    matrix: list[list[int]] | None = None
    """Rows of label i that were given label j, in the order of the record's labels; where there are few of them."""
    confusions: list[Confusion] = []
    mistakes: list[Mistake] = []
    wrong: int | None = None
    """Test rows answered wrong."""
    robustness: Robustness | None = None
    explanations: list[Explained] = []
    data: DataBrief | None = None
    splits: dict[str, int] = {}
    reproduction: Reproduction
    variants: Variants | None = None
