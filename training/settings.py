"""Settings of one fine-tuning run: frozen, complete, checked against themselves."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from training.augmentation.settings import AugmentationSettings
from training.data_settings import DataSettings
from training.dataset import TaskName
from training.distillation.settings import DistillationSettings
from training.encoders import Pooling
from training.report.settings import ReportSettings
from training.scope.settings import ScopeSettings

Sampling = Literal["none", "over", "square_root", "under"]
"""How often rows are seen in an epoch. none: each once. over: those of small classes again and again, until each class has as
many as the largest. square_root: half way there, by the square root of the classes' sizes. under: of each class as many as the
smallest has, others each epoch."""
Loss = Literal["cross_entropy", "focal", "mse", "huber", "binary_cross_entropy", "ranknet", "listwise_softmax"]
RANKING_LOSSES: tuple[Loss, ...] = ("ranknet", "listwise_softmax")
LOSSES: dict[TaskName, tuple[Loss, ...]] = {
    "regression": ("mse", "huber"),
    "pair_scoring": ("binary_cross_entropy", *RANKING_LOSSES),
}
"""Those of each task, the usual one first."""
LABEL_KINDS: dict[TaskName, str] = {
    "regression": "number",
    "pair_scoring": "relevance",
    "token_classification": "entities",
}
"""What `training.data_settings.DataSettings.label_kind` must be; class for all others."""
CLASSIFICATION: tuple[TaskName, ...] = ("single_label_classification", "multi_label_classification")
LABEL_LOSSES: tuple[Loss, ...] = ("cross_entropy", "focal")
Method = Literal["full", "frozen", "bitfit", "lora", "adalora", "prefix", "adapters"]
"""Which weights of the encoder are trained. full: all. frozen: none, only the head. bitfit: the biases (Ben Zaken et al. 2022).
lora: low-rank updates beside every linear layer (Hu et al. 2021), merged before anything is saved. adalora: the same, with ranks
that go where they matter (Zhang et al. 2023). prefix: keys and values before the text in every layer (Li and Liang 2021).
adapters: bottlenecks behind the sublayers (Houlsby et al. 2019). The last two stay beside the encoder's weights."""
RunName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
"""Lower case, digits, dot, underscore, hyphen; it names folders and models."""


def usual_loss(task: TaskName) -> Loss:
    """What a task is trained with unless another loss is asked for."""
    return LOSSES.get(task, LABEL_LOSSES)[0]


class FineTuneSettings(BaseModel):
    """How a model is made from data. None means: chosen from the data or the encoder, and recorded in run.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: DataSettings
    out_of_scope: ScopeSettings | None = None
    """None: every text gets a label, whatever it is about."""
    task: TaskName = "single_label_classification"
    name: RunName
    """Of the run and of the model."""
    model: str = "minilm"
    """`minilm` (packaged), a hub id such as bert-base-chinese, or a folder."""
    method: Method = "full"
    lora_rank: int = Field(default=8, ge=1, le=256)
    adalora_target_rank: int = Field(default=8, ge=1, le=256)
    """Mean rank of the updates at the end; they begin with half as much again."""
    prefix_length: int = Field(default=16, ge=1, le=512)
    """Keys and values before the text, a layer. They take no position of a text's tokens."""
    adapter_reduction_factor: int = Field(default=16, ge=1, le=1024)
    """The encoder's width over that of an adapter's bottleneck."""
    pooling: Pooling | None = None
    """None: as the encoder says of itself; else mean for sentence encoders, the last token for decoders such as GPT-2, the first
    one for all others."""
    extend_vocabulary: Literal["auto", "off"] = "auto"
    """auto: characters that the tokenizer does not know and the training rows use get tokens of their own."""
    max_length: int | None = Field(default=None, ge=8, le=8192)
    """Tokens a text is cut to; None: what 99.9 % of the training rows need, within 64..256."""
    epochs: int | None = Field(default=None, ge=1, le=200)
    learning_rate: float | None = Field(default=None, gt=0, lt=1)
    """Peak rate of the encoder; None: 5e-5 above width 384; up to it 3e-4, down to 1e-4 for classes of many rows; a multiple
    where few weights are trained."""
    layer_rate_decay: float = Field(default=1.0, gt=0, le=1)
    """Each layer learns so many times as fast as the one above it (Howard and Ruder 2018); embeddings slowest. 1: all alike."""
    head_rate_factor: float = Field(default=10.0, gt=0)
    """The new head learns this much faster than the pre-trained encoder."""
    batch_size: int = Field(default=32, ge=1)
    gradient_accumulation: int = Field(default=1, ge=1)
    warmup_ratio: float = Field(default=0.06, ge=0, lt=1)
    weight_decay: float = Field(default=0.01, ge=0)
    max_grad_norm: float = Field(default=1.0, gt=0)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    """Of the cross-entropy where a text has one label."""
    loss: Loss | None = None
    """None: the usual one of the task. cross_entropy, focal: of labels; with focal, rows that are already right count less (Lin
    et al. 2017), without label smoothing. mse, huber: of numbers; with huber, errors of more than one standard deviation count
    linearly (Huber 1964). Of relevance: binary_cross_entropy judges each candidate by itself; ranknet (pairs of a query's
    candidates) and listwise_softmax (all of them at once) judge their order, see training/ranking_losses.py."""
    focal_gamma: float = Field(default=2.0, ge=0, le=10)
    sampling: Sampling = "none"
    """For unequal classes; a class of several labels a text is the set of its labels."""
    class_weights: Literal["auto", "balanced", "none"] = "auto"
    """balanced: inverse frequency; auto: balanced when the largest class has 10 times the rows of the smallest. Where texts
    can have several labels: balanced weighs the rows that have a label up to those that do not; auto does not weigh."""
    similarity_scale: float = Field(default=20.0, gt=0, le=1000)
    """Cosines are multiplied by it in the losses of sentence encoders; its inverse is the temperature of contrastive learning."""
    hard_negatives: int = Field(default=0, ge=0, le=16)
    """For each pair so many texts that the encoder, before training, takes for its second one (sentence encoders)."""
    cached_batch: int | None = Field(default=None, ge=1)
    """Texts that a sentence encoder computes at once, so that memory holds a large batch of negatives (Gao et al. 2021,
    GradCache); slower. None: the whole batch."""
    contrastive_epochs: int = Field(default=0, ge=0, le=1000)
    """Passes over the training rows before the head is trained, in which the whole encoder learns to put texts of one label near
    one another (Tunstall et al. 2022, SetFit); for few rows a class. With method frozen the head alone is trained after it."""
    contrastive_learning_rate: float | None = Field(default=None, gt=0, lt=1)
    """Peak rate of that stage; None: that of sentence encoders, 5e-5 up to width 384, above it 2e-5."""
    early_stopping_patience: int = Field(default=3, ge=1)
    """Epochs without a better validation score before training stops."""
    mixed_precision: Literal["auto", "no", "fp16", "bf16"] = "auto"
    """auto: bf16, or else fp16, on a GPU; none on a processor."""
    gradient_checkpointing: bool = False
    """Layers' outputs are computed again for the gradient instead of being kept (Chen et al. 2016): less memory, more time."""
    compile_layers: bool = False
    """torch.compile makes code of the encoder's layers: minutes before the first update. See docs/training/speed.md for when."""
    checkpoint_every_s: float = Field(default=60.0, gt=0)
    """A killed run loses at most about this many seconds of work."""
    seed: int = Field(default=13, ge=0)
    augmentation: AugmentationSettings | None = None
    """Varied copies among the training rows; None: the rows are trained on as they are."""
    distillation: DistillationSettings | None = None
    """Finished runs that teach this one; None: it learns from labels alone."""
    report: ReportSettings = ReportSettings()
    """Of the evaluation report. Other ones are no reason to train again."""

    @model_validator(mode="after")
    def _consistent(self) -> FineTuneSettings:
        if self.warmup_ratio > 0.5:
            raise ValueError("warmup_ratio above 0.5 leaves too little training at the full rate")
        if self.data.label_kind != LABEL_KINDS.get(self.task, "class"):
            raise ValueError(f"data.label_kind {self.data.label_kind} and the task {self.task} do not belong together")
        if self.loss in RANKING_LOSSES and self.batch_size < 2:
            raise ValueError("a loss that compares candidates needs a batch_size of 2 or more")
        known = LOSSES.get(self.task, LABEL_LOSSES)
        if self.loss not in {None, *known}:
            raise ValueError(f"loss: {self.task} is trained with {' or '.join(known)}, not with {self.loss}")
        if self.data.label_kind != "class" and (self.sampling != "none" or self.class_weights == "balanced"):
            raise ValueError(f"sampling and class_weights are for classes of texts, not for {self.task}")
        if self.task == "token_classification" and self.pooling is not None:
            raise ValueError("pooling makes one vector of a text; in token_classification each token stands for itself")
        if (self.data.label_separator is None) is (self.task == "multi_label_classification"):
            raise ValueError("label_separator and the task multi_label_classification belong together")
        if self.out_of_scope is not None:
            self._consistent_scope(self.out_of_scope)
        if self.method == "prefix" and self.gradient_checkpointing:
            raise ValueError(
                "gradient_checkpointing takes a prefix away from the layers: use another method, or train without it"
            )
        if self.distillation is not None and self.task not in CLASSIFICATION:
            raise ValueError(
                f"{self.task} cannot be distilled: {' and '.join(CLASSIFICATION)} can; leave out the teachers"
            )
        self._consistent_encoder()
        self._consistent_few_rows()
        return self

    def _consistent_scope(self, scope: ScopeSettings) -> None:
        if self.task != "single_label_classification":
            raise ValueError("out_of_scope is for one label a text: where there can be several, none may apply anyway")
        if scope.exposure and self.distillation is not None:
            raise ValueError("distillation has its own loss: leave out_of_scope.exposure to its teachers")

    def _consistent_few_rows(self) -> None:
        """What helps with few rows."""
        if self.augmentation is not None and self.task not in CLASSIFICATION:
            raise ValueError(f"augmentation is for labels of whole texts, which {self.task} does not have")
        if not self.contrastive_epochs:
            return
        if self.task != "single_label_classification":
            raise ValueError(f"contrastive_epochs: {self.task} does not say which texts have the same label")
        if self.method not in {"full", "frozen"}:
            raise ValueError(
                f"contrastive_epochs trains the whole encoder, which method {self.method} leaves as it is; use full, or "
                "frozen to train the head alone afterwards"
            )
        if self.distillation is not None:
            raise ValueError(
                "contrastive_epochs: a student learns from its teachers' answers; leave out one of the two"
            )
        if self.batch_size < 4:
            raise ValueError(
                "contrastive_epochs compares two rows each of several labels: give a batch_size of 4 or more"
            )

    def _consistent_encoder(self) -> None:
        if (self.data.relation is None) is (self.task == "embedding"):
            raise ValueError("data.relation says what the task embedding learns from, and is for that task alone")
        if self.task != "embedding":
            if self.hard_negatives or self.cached_batch:
                raise ValueError("hard_negatives and cached_batch are for the task embedding")
            return
        if self.loss is not None or self.sampling != "none" or self.class_weights == "balanced":
            raise ValueError(
                "loss, sampling and class_weights are for labels; what a sentence encoder learns from is its loss"
            )
        if self.method == "frozen":
            raise ValueError(
                "method frozen: a sentence encoder has no head, so nothing would be trained; bitfit trains least"
            )
        if self.method in {"prefix", "adapters"}:
            raise ValueError(
                f"method {self.method} leaves weights beside the encoder, where sentence-transformers would not look for them; "
                "use lora or adalora"
            )
        if self.batch_size < 2:
            raise ValueError("batch_size 1: the other texts of a batch are what a text is told from; give 2 or more")
