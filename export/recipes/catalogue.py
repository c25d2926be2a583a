"""The recipes there are. Adding one is adding an entry. Pure, so that the edge can refuse an unknown name at once."""

from __future__ import annotations

from export.failures import ExportFailure
from export.recipes.kinds import Dynamic, Entropy, Float, Half, Percentile, Recipe, Static, WeightOnly

DEFAULT = "default"
ALL = "all"

FEED_FORWARD_OUTPUT = r"(output/dense|ffn/lin2)/MatMul"

FLOAT = Float("fp32")
PLAIN = Float("fp32-plain", device="tensorrt", fused=False)
"""TensorRT does its own fusing, and knows none of ONNX Runtime's fused operators."""
HALF = Half("fp16")

QUANTIZED = (
    Static("int8-fused", fused=True),
    # rare large activations, cut off, leave finer steps to all others
    Static("int8-fused-percentile", fused=True, calibration=Percentile(99.99)),
    # the first feed-forward blocks hold the widest activations
    Static("int8-fused-mixed", fused=True, exclude=rf"layer\.[01]/{FEED_FORWARD_OUTPUT}"),
)
"""What the default tries until one is near the checkpoint; of others it takes the nearest that passes the gate."""
LAST_RESORT = (
    Static("int8-fused-partial", fused=True, exclude=FEED_FORWARD_OUTPUT),
    # for sentence encoders, whose vectors forgive less than labels
    Static("int8-fused-partial-smooth", fused=True, exclude=FEED_FORWARD_OUTPUT, smoothing=0.5),
)
"""Tried likewise where none of these passes: half as fast again as float32."""

RECIPES: tuple[Recipe, ...] = (
    FLOAT,
    Float("fp32-unfused", device="cpu", fused=False),
    *QUANTIZED,
    *LAST_RESORT,
    Static("int8-static"),
    Static("int8-static-smooth", smoothing=0.5),
    Static("int8-static-mixed", exclude=rf"layer\.[01]/{FEED_FORWARD_OUTPUT}"),
    Static("int8-static-partial", exclude=FEED_FORWARD_OUTPUT),
    Static("int8-static-small", row_wise_embeddings=True),
    Static("int8-static-percentile", calibration=Percentile(99.99)),
    Static("int8-static-entropy", calibration=Entropy()),
    Static("int8-static-tensor", per_channel=False),
    Static("int8-static-uint8", weights="uint8"),
    Static("int8-static-outputs", outputs=True),
    Dynamic("int8-dynamic"),
    Dynamic("int8-dynamic-tensor", per_channel=False),
    Dynamic("int8-dynamic-uint8", weights="uint8", per_channel=False),
    Dynamic("int8-dynamic-uint8-channel", weights="uint8"),
    Dynamic("int8-dynamic-embeddings", embeddings=True),
    Dynamic("int8-dynamic-head", head=False),
    Dynamic("int8-dynamic-fused", fused=True),
    WeightOnly("weights8", bits=8),
    WeightOnly("weights4", bits=4),
    WeightOnly("weights4-small", bits=4, row_wise_embeddings=True),
    HALF,
    PLAIN,
)


class UnknownRecipe(ExportFailure):
    """Variants are asked for by a name that no recipe has."""


def named(variants: str) -> tuple[Recipe, ...]:
    """The recipes of `variants`: "all" that run on a CPU, or those named, separated by commas, each once and in that order.

    Raises UnknownRecipe, which lists what there is.
    """
    if variants.strip() == ALL:
        return tuple(recipe for recipe in RECIPES if recipe.device in {"any", "cpu"})
    known = {recipe.name: recipe for recipe in RECIPES}
    names = list(dict.fromkeys(name for part in variants.split(",") if (name := part.strip())))
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        fault = f"no recipe is called {', '.join(map(repr, unknown))}" if unknown else "no recipe is named"
        raise UnknownRecipe(f"--variants: {fault}; there are {DEFAULT}, {ALL}, or of {', '.join(known)} any")
    return tuple(known[name] for name in names)
