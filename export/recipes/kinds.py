"""The kinds of recipe: frozen declarations of how one variant is made. Pure: what makes it stands in the modules beside.

Each has a name, a precision, a device, `describe()` for the manifest (enough to make the variant again) and `summary()` for
people. `needs_rows` says whether training rows must be known to make it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

Precision = Literal["fp32", "fp16", "int8", "int4"]
Device = Literal["any", "cpu", "cuda", "tensorrt"]
Described = dict[str, str | int | float | bool | list[str]]
Weights = Literal["int8", "uint8"]
"""int8: symmetric and seven bits wide. uint8: asymmetric, all eight bits. Products of uint8 and int8 are summed in pairs of 16
bits on AVX2 and on AVX-512 without VNNI, which overflows (onnxruntime documents it as `reduce_range`); those of uint8 and uint8
are not."""

NOTHING = r"(?!)"
DENSE = ("MatMul", "Gemm")

KEPT_FLOAT = ("LayerNormalization", "Softmax", "ReduceSum", "ReduceMean", "Pow", "Sqrt", "Div", "Exp")
"""What sums many values, squares or divides overflows float16 at 65,504 or loses small terms. The fused operators (attention,
SkipLayerNormalization) need no such care: their kernels sum in float32."""


@dataclass(frozen=True, slots=True)
class Float:
    """float32, with ONNX Runtime's fused operators or without."""

    name: str
    device: Device = "any"
    fused: bool = True
    precision: ClassVar[Precision] = "fp32"
    needs_rows: ClassVar[bool] = False

    def describe(self) -> Described:
        """For the manifest."""
        return {"kind": "float32", "fused": self.fused}

    def summary(self) -> str:
        """For people."""
        return "float32, fused operators" if self.fused else "float32, plain ONNX operators"


@dataclass(frozen=True, slots=True)
class Half:
    """float16 weights and activations; what would overflow on the training rows stays float32."""

    name: str
    device: Device = "cuda"
    precision: ClassVar[Precision] = "fp16"
    needs_rows: ClassVar[bool] = False

    def describe(self) -> Described:
        """For the manifest."""
        kept = "operators with an output beyond 65504 on calibration rows, and those that read it"
        return {"kind": "float16", "fused": True, "float32_operators": list(KEPT_FLOAT), "float32_nodes": kept}

    def summary(self) -> str:
        """For people."""
        return "float16 where it neither overflows nor sums many values"


@dataclass(frozen=True, slots=True)
class Dynamic:
    """int8 products; one activation scale a tensor, found anew for each batch, so that a text's answer depends on its company."""

    name: str
    weights: Weights = "int8"
    per_channel: bool = True
    embeddings: bool = False
    """Whether embedding tables are quantized too, with one scale a table."""
    head: bool = True
    """Whether the products nearest the output are."""
    fused: bool = False
    device: Device = "cpu"
    precision: ClassVar[Precision] = "int8"
    needs_rows: ClassVar[bool] = False

    def describe(self) -> Described:
        """For the manifest."""
        return {
            "kind": "dynamic int8",
            "fused": self.fused,
            "activations": "uint8, asymmetric, per tensor and batch",
            "weights": described_weights(self.weights, self.per_channel),
            "embeddings": self.embeddings,
            "head": self.head,
        }

    def summary(self) -> str:
        """For people."""
        parts = [f"dynamic int8, {described_weights(self.weights, self.per_channel)}"]
        parts += ["embeddings too"] * self.embeddings + ["head in float32"] * (not self.head) + ["fused"] * self.fused
        return "; ".join(parts)


@dataclass(frozen=True, slots=True)
class MinMax:
    """Scales hold everything that the rows showed."""

    def describe(self) -> str:
        """For the manifest."""
        return "minmax"


@dataclass(frozen=True, slots=True)
class Entropy:
    """Scales that keep most of the distribution (Kullback-Leibler)."""

    def describe(self) -> str:
        """For the manifest."""
        return "entropy"


@dataclass(frozen=True, slots=True)
class Percentile:
    """Scales that cut off what is rarer, in percent."""

    kept: float = 99.999

    def describe(self) -> str:
        """For the manifest."""
        return f"percentile {self.kept}"


@dataclass(frozen=True, slots=True)
class Static:
    """int8 products with activation scales fixed on training rows: a text's answer is its own.

    Only products with constant weights are quantized, so attention itself (QK^T and PV) stays float32.
    """

    name: str
    calibration: MinMax | Entropy | Percentile = MinMax()
    weights: Weights = "int8"
    per_channel: bool = True
    outputs: bool = False
    """Whether products round their outputs to uint8, too. It costs far more agreement than all else, and gains no time."""
    smoothing: float | None = None
    """SmoothQuant's alpha: how much of the activations' spread goes into the weights."""
    row_wise_embeddings: bool = False
    """Whether embedding tables are int8 with one scale a row."""
    exclude: str = NOTHING
    """Nodes whose name matches stay float32."""
    fused: bool = False
    """Whether operators are fused first and what stands around the products is made cheap, see `export.recipes.lean`."""
    device: Device = "cpu"
    precision: ClassVar[Precision] = "int8"
    needs_rows: ClassVar[bool] = True

    def describe(self) -> Described:
        """For the manifest."""
        described: Described = {
            "kind": "static int8",
            "format": "integer operators" if self.fused else "QDQ",
            "activations": "uint8, asymmetric, per tensor",
            "weights": described_weights(self.weights, self.per_channel),
            "calibration": self.calibration.describe(),
            "outputs": "uint8" if self.outputs else "float32",
            "embeddings": "int8, one scale a row" if self.row_wise_embeddings else "float32",
            "operators": list(DENSE),
            "exclude": self.exclude,
        }
        return described if self.smoothing is None else {**described, "smoothing": self.smoothing}

    def summary(self) -> str:
        """For people."""
        parts = [f"static int8, {self.calibration.describe()}, {described_weights(self.weights, self.per_channel)}"]
        parts += ["outputs too"] * self.outputs + ["embeddings int8 by rows"] * self.row_wise_embeddings
        parts += [] if self.smoothing is None else [f"SmoothQuant {self.smoothing}"]
        parts += [] if self.exclude == NOTHING else [f"without {self.exclude}"]
        parts += ["fused"] * self.fused
        return "; ".join(parts)


@dataclass(frozen=True, slots=True)
class WeightOnly:
    """Weights of few bits in blocks of a column; activations are rounded to int8 block by block, so rows stay apart."""

    name: str
    bits: Literal[4, 8]
    block: int = 32
    row_wise_embeddings: bool = False
    device: Device = "cpu"
    needs_rows: ClassVar[bool] = False

    @property
    def precision(self) -> Precision:
        """By the bits of its weights."""
        return "int4" if self.bits == 4 else "int8"

    def describe(self) -> Described:
        """For the manifest."""
        return {
            "kind": "weight-only",
            "bits": self.bits,
            "block": self.block,
            "weights": "asymmetric, one scale a block of a column",
            "embeddings": "int8, one scale a row" if self.row_wise_embeddings else "float32",
            "accuracy_level": 4,
        }

    def summary(self) -> str:
        """For people."""
        rows = "; embeddings int8 by rows" if self.row_wise_embeddings else ""
        return f"weights of {self.bits} bits in blocks of {self.block}{rows}"


Recipe = Float | Half | Dynamic | Static | WeightOnly


def described_weights(weights: Weights, per_channel: bool) -> str:
    """Such as "int8, symmetric, per channel, reduced range"."""
    scales = "per channel" if per_channel else "per tensor"
    return f"int8, symmetric, {scales}, reduced range" if weights == "int8" else f"uint8, asymmetric, {scales}"
