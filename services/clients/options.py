"""What every call of the inference service can set, as plain Python values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bertline.inference.v1 import inference_pb2 as pb

Truncation = Literal["right", "left", "error"]
Combination = Literal["mean", "max"]
Priority = Literal["low", "normal", "high"]
OffsetUnit = Literal["code_point", "utf16", "utf8"]

TRUNCATIONS = {"right": pb.TRUNCATION_RIGHT, "left": pb.TRUNCATION_LEFT, "error": pb.TRUNCATION_ERROR}
COMBINATIONS = {"mean": pb.WINDOW_COMBINATION_MEAN, "max": pb.WINDOW_COMBINATION_MAX}
PRIORITIES = {"low": pb.PRIORITY_LOW, "normal": pb.PRIORITY_NORMAL, "high": pb.PRIORITY_HIGH}
OFFSET_UNITS = {
    "code_point": pb.OFFSET_UNIT_CODE_POINT,
    "utf16": pb.OFFSET_UNIT_UTF16,
    "utf8": pb.OFFSET_UNIT_UTF8,
}


@dataclass(frozen=True, slots=True)
class Windows:
    """Long texts are read whole, in windows that share `overlap_tokens` (None: a quarter of a window).

    Their results become one by the mean, or by the highest score of each label. `max_windows` 0: the server's limit.
    """

    overlap_tokens: int | None = None
    combination: Combination = "mean"
    max_windows: int = 0


@dataclass(frozen=True, slots=True)
class Options:
    """What happens to long texts, whose texts come first, and which version meets a caller.

    `truncation` "error": texts that are too long fail. Calls of the same `routing_key` meet the same version while a
    model's traffic is split.
    """

    truncation: Truncation = "right"
    windows: Windows | None = None
    priority: Priority = "normal"
    routing_key: str = ""


def to_options(options: Options | None) -> pb.CallOptions | None:
    """Raises KeyError for a word that is none of those above."""
    if options is None:
        return None
    sent = pb.CallOptions(
        truncation=pb.TRUNCATION_UNSPECIFIED if options.windows else TRUNCATIONS[options.truncation],
        priority=PRIORITIES[options.priority],
        routing_key=options.routing_key,
    )
    if options.windows is not None:
        if options.truncation != "right":
            raise ValueError("windows read the whole text: leave truncation as it is")
        windows = options.windows
        sent.windows.CopyFrom(
            pb.Windows(
                overlap_tokens=windows.overlap_tokens,
                combination=COMBINATIONS[windows.combination],
                max_windows=windows.max_windows,
            )
        )
    return sent
