"""The manifest of a model bundle: the one contract between the offline and the online half. Pure: no torch.

A bundle is a directory `<registry>/<name>/<version>/`:

    manifest.json       this contract
    tokenizer.json      Hugging Face tokenizers file
    <variant>.onnx      one file a variant; inputs input_ids, attention_mask[, token_type_ids] int64 [batch, sequence],
                        one output, see `Task`
    README.md           the model card
    golden.json         a few texts with the logits expected of each variant
    sbom.json           what took part in making it, with versions and licences (CycloneDX)
    manifest.sig        signatures of manifest.json, which may be added later; see `export.signing`
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from export.choices import GOALS, HostChoice
from export.contract import Contract
from export.proof import ParityProof

NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,63}$"
"""Model and label names: lower case, digits, dot, underscore, hyphen; they are directory and metric names too."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


Task = Literal[
    "single_label_classification",
    "multi_label_classification",
    "regression",
    "embedding",
    "pair_scoring",
    "token_classification",
]
"""What a model does, and what its graph's output is:

single_label_classification    logits     float32 [batch, labels]
multi_label_classification     logits     float32 [batch, labels]; each label's probability is its sigmoid
regression                     logits     float32 [batch, 1], of the number standardised by the manifest's `Scale`
embedding                      embedding  float32 [batch, width], pooled, not normalised: whoever cuts a vector, or joins
                                          those of several windows, must do so before
pair_scoring                   logits     float32 [batch, 1], of (query, candidate); relevance is the sigmoid of logits over
                                          the temperature
token_classification           logits     float32 [batch, sequence, labels]

Results instead of these (probabilities, vectors of length 1, numbers in units) come from a server, or from the file that
`python -m export text-graph` makes of a variant, see `export.text_graph.results`.
"""

SCOPE_OUTPUT = "out_of_scope_score"
"""The second output of a classifier that tells texts out of scope: float32 [batch, 1], higher means farther out."""

LEAST_LABELS = {
    "single_label_classification": 2,
    "multi_label_classification": 2,
    "regression": 0,
    "embedding": 0,
    "pair_scoring": 0,
    "token_classification": 1,
}


class FileEntry(Contract):
    """A file of the bundle, relative to it."""

    path: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    sha256: Sha256
    size_bytes: int = Field(ge=0)


class StructureProof(Contract):
    """Of a variant whose network is not the run's own: what it is, and how alike its graph and that network are.

    Its `ParityProof` compares it with the run's checkpoint, like that of every variant.
    """

    name: str
    """Of the structure, such as "heads-25", or of the run that it comes from."""
    lacks: dict[str, str | int | float]
    """What was taken away: shares of heads and neurons, layers; or which run it is."""
    weights: int = Field(gt=0)
    """Of encoder and head."""
    max_logit_difference: float
    """From the network in PyTorch, on the validation rows and on awkward shapes."""
    agreement: float = Field(ge=0, le=1)
    """With the network in PyTorch, as of `ParityProof`."""


class Variant(Contract):
    """One set of weights in one numeric format."""

    name: str = Field(pattern=NAME_PATTERN)
    """For example "fp32" or "int8-static"."""
    file: FileEntry
    precision: Literal["fp32", "fp16", "int8", "int4"]
    """Of the weights that take most of its time."""
    device: Literal["cpu", "cuda", "tensorrt", "any"]
    """Where this variant is meant to run."""
    recipe: dict[str, str | int | float | bool | list[str]]
    """How it was made, enough to make it again."""
    parity: ParityProof
    out_of_scope_threshold: float | None = None
    """A text whose score is above it is out of scope; chosen on this variant's own scores of the validation rows."""
    set_thresholds: list[Annotated[float, Field(ge=0, le=1)]] | None = None
    """For each level of the manifest's prediction sets the probability from which a label belongs to the set; chosen likewise."""
    temperature: float | None = Field(default=None, gt=0)
    """Takes the place of the calibration's; of networks that are not the run's own, fitted on the validation rows."""
    structure: StructureProof | None = None
    """None where the network is the run's own."""
    texts_per_second: float | None = Field(default=None, gt=0)
    """Measured at export on `measured_on`, one thread, sorted batches of 8; a hint, not a promise. None for variants that
    are meant for another device."""


class Host(Contract):
    """The machine that proved the bundle."""

    processor: str
    instruction_sets: list[str]
    """Those that change int8 results or speed: avx2, avx512f, avx512_vnni, avx_vnni, amx_int8."""
    cores: int


class Calibration(Contract):
    """Temperature scaling (Guo et al. 2017): probabilities = softmax(logits / temperature), or their sigmoid."""

    temperature: float = Field(gt=0)
    error_before: float = Field(ge=0, le=1)
    """Expected calibration error on the test split, 15 equal-width bins."""
    error_after: float = Field(ge=0, le=1)


class OutOfScope(Contract):
    """How texts that are none of the classes are told: by the graph's output `SCOPE_OUTPUT`, and each variant's threshold."""

    detector: str
    acceptance: float = Field(gt=0, le=1)
    """The operating point: share of the validation rows in scope that a threshold keeps."""
    exposure: bool
    """Whether the model was trained on texts out of scope."""
    rows: dict[str, int]
    """Split -> texts out of scope; empty where none were known."""
    intervals: dict[str, tuple[float, float]]
    """Figure -> its 95 % interval for the checkpoint on the test split. The figures themselves stand among the metrics."""


class PredictionSets(Contract):
    """Sets of labels that hold the right one with a stated probability (split conformal prediction)."""

    levels: list[Annotated[float, Field(gt=0, lt=1)]] = Field(min_length=1)
    """Coverage, ascending; each variant has a threshold for each."""
    rows: int = Field(gt=0)
    """Validation rows that the thresholds were chosen on."""


class Scale(Contract):
    """A number is the graph's output times the deviation, plus the mean: both of the training rows' numbers."""

    mean: float = Field(allow_inf_nan=False)
    deviation: float = Field(gt=0, allow_inf_nan=False)


class Licences(Contract):
    """As SPDX names them where it knows them, else in words."""

    weights: str
    """Of the encoder's weights that training began with; "unknown" where their origin says nothing."""
    data: str
    """Of the training data, as whoever exported the model said; "not stated" if they did not."""


class TrimmedVocabulary(Contract):
    """What the tokenizer no longer knows: tokens of scripts that the run's rows do not have."""

    tokens: int = Field(gt=0)
    """That stayed."""
    tokens_before: int = Field(gt=0)
    scripts: list[str]
    """Whose letters became unknown, such as "Cyrillic"."""
    bytes_saved: int = Field(ge=0)
    """Of a float32 graph."""


class Manifest(Contract):
    """Everything a server must know to answer with the bundle, and everything a person asks before trusting it."""

    schema_version: Literal[1] = 1
    name: str = Field(pattern=NAME_PATTERN)
    version: int = Field(ge=1)
    task: Task
    labels: list[str]
    """Output order of the logits; empty for embedding, pair scoring and regression. BIO labels for token classification."""
    thresholds: list[Annotated[float, Field(gt=0, lt=1)]] | None = None
    """Probability from which each label applies, in the order of the labels; multi-label classification alone has them."""
    out_of_scope: OutOfScope | None = None
    """None where every text gets a label."""
    prediction_sets: PredictionSets | None = None
    """None where none were calibrated; single-label classification alone has them."""
    scale: Scale | None = None
    """Of numbers; regression alone has one."""
    width: int | None = Field(default=None, ge=1)
    """Elements of a vector; embedding alone has one."""
    pair: bool
    max_length: int = Field(ge=8, le=8192)
    """Tokens the model reads, special tokens included."""
    pad_token_id: int = Field(ge=0)
    tokenizer: FileEntry
    vocabulary: TrimmedVocabulary | None = None
    """None where the tokenizer is that of the checkpoint."""
    golden: FileEntry
    model_card: FileEntry
    sbom: FileEntry | None = None
    """What took part in making the bundle (CycloneDX); None in bundles of before it was listed."""
    licences: Licences | None = None
    """None in bundles of before they were kept."""
    variants: list[Variant] = Field(min_length=1)
    """Preferred first; only variants whose parity passed."""
    choices: list[HostChoice] = Field(default=[])
    """Which variant is the best where: measured by the export for the class of its own host."""
    token_lengths: dict[int, int] = Field(default={})
    """Tokens -> validation rows that long: the lengths for which variants are compared unless others are given."""
    calibration: Calibration | None
    """None where the task gives no probabilities."""
    metrics: dict[str, dict[str, float]]
    """Variant name, or "checkpoint" -> metric -> value on the test split (errors of numbers in their units); empty
    where no labels say what is right."""
    encoder: str
    data_fingerprint: str
    measured_on: Host
    versions: dict[str, str]
    create_time: str
    export_fingerprint: str
    """SHA-256 over the run, the settings and the code of the step; equal means that nothing must be exported again."""

    @model_validator(mode="after")
    def _consistent(self) -> Manifest:
        if len(self.labels) < LEAST_LABELS[self.task]:
            raise ValueError(f"{self.task} needs at least {LEAST_LABELS[self.task]} labels")
        if (self.width is None) is (self.task == "embedding"):
            raise ValueError("width is the number of a vector's elements: embedding needs it, nothing else has it")
        if (self.scale is None) is (self.task == "regression"):
            raise ValueError("scale says what the output means in units: regression needs it, nothing else has it")
        if (self.thresholds is None) is (self.task == "multi_label_classification"):
            raise ValueError(
                "thresholds say when a label applies: multi-label classification needs them, nothing else has them"
            )
        if self.thresholds is not None and len(self.thresholds) != len(self.labels):
            raise ValueError(f"{len(self.thresholds)} thresholds for {len(self.labels)} labels")
        self._check_scope_and_sets()
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("labels must be unique")
        names = [variant.name for variant in self.variants]
        if len(set(names)) != len(names):
            raise ValueError("variant names must be unique")
        strangers = {choice.variant(goal) for choice in self.choices for goal in GOALS} - set(names)
        if strangers:
            raise ValueError(f"choices of variants that are not there: {', '.join(sorted(strangers))}")
        unproven = [variant.name for variant in self.variants if not variant.parity.passed]
        if unproven:
            raise ValueError(f"variants without a passed parity proof: {', '.join(unproven)}")
        return self

    def _check_scope_and_sets(self) -> None:
        if self.task != "single_label_classification" and (self.out_of_scope or self.prediction_sets):
            raise ValueError("out_of_scope and prediction_sets are for single-label classification")
        levels = None if self.prediction_sets is None else len(self.prediction_sets.levels)
        for variant in self.variants:
            if (variant.out_of_scope_threshold is None) is not (self.out_of_scope is None):
                raise ValueError(f"variant {variant.name}: out_of_scope and out_of_scope_threshold belong together")
            if (None if variant.set_thresholds is None else len(variant.set_thresholds)) != levels:
                raise ValueError(f"variant {variant.name}: set_thresholds needs one for each level of prediction_sets")

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the graph's outputs."""
        if self.task == "embedding":
            return ("embedding",)
        return ("logits",) if self.out_of_scope is None else ("logits", SCOPE_OUTPUT)

    @property
    def temperature(self) -> float:
        """Of the calibration; 1 without one."""
        return self.calibration.temperature if self.calibration is not None else 1.0

    def temperature_of(self, variant: Variant) -> float:
        """What the variant's logits are divided by."""
        return self.temperature if variant.temperature is None else variant.temperature

    def files(self) -> list[FileEntry]:
        """Every file that must be present and intact."""
        bill = [] if self.sbom is None else [self.sbom]
        return [self.tokenizer, self.golden, self.model_card, *bill, *(variant.file for variant in self.variants)]
