"""The devices a graph can run on, as ONNX Runtime's execution providers with their options."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from services.inference.settings import MOST_TENSORRT_TEXTS

Kind = Literal["cpu", "cuda", "tensorrt"]
Options = dict[str, str]
Provider = tuple[str, Options]

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
FIRST = {"cpu": CPU, "cuda": CUDA, "tensorrt": TENSORRT}
"""The provider that must come first in a session of the device."""

ARENA = {"power_of_two": "kNextPowerOfTwo", "as_requested": "kSameAsRequested"}


@dataclass(frozen=True, slots=True)
class Device:
    """Where and how to run. All but `kind` concern a GPU alone."""

    kind: Kind = "cpu"
    id: int = 0
    memory_bytes: int = 0
    """Most that the arena takes; 0: no bound."""
    arena: Literal["power_of_two", "as_requested"] = "power_of_two"
    half_engine: bool = True
    """TensorRT may compute in float16."""
    engines: Path | None = None
    """Folder in which TensorRT keeps the engines it has built."""

    @property
    def on_gpu(self) -> bool:
        """Whether it is a GPU."""
        return self.kind != "cpu"

    def variants(self) -> tuple[str, ...]:
        """The manifest's devices whose variants suit, the most special first."""
        return (self.kind, "any")

    def providers(self, inputs: tuple[str, ...], max_length: int) -> list[Provider]:
        """Providers in the order of preference; what the first does not know falls to the next."""
        if self.kind == "cpu":
            return [(CPU, {})]
        cuda = (CUDA, self._cuda())
        if self.kind == "cuda":
            return [cuda, (CPU, {})]
        return [(TENSORRT, self._tensorrt(inputs, max_length)), cuda, (CPU, {})]

    def _cuda(self) -> Options:
        options = {
            "device_id": str(self.id),
            "arena_extend_strategy": ARENA[self.arena],
            # its rounding to 10 bits would make float32 answers other than those that were proven
            "use_tf32": "0",
        }
        if self.memory_bytes:
            options["gpu_mem_limit"] = str(self.memory_bytes)
        return options

    def _tensorrt(self, inputs: tuple[str, ...], max_length: int) -> Options:
        options = {"device_id": str(self.id), "trt_fp16_enable": "1" if self.half_engine else "0"}
        for bound, rows, length in (
            ("min", 1, 1),
            ("opt", 8, min(64, max_length)),
            ("max", MOST_TENSORRT_TEXTS, max_length),
        ):
            options[f"trt_profile_{bound}_shapes"] = ",".join(f"{name}:{rows}x{length}" for name in inputs)
        if self.engines is not None:
            options |= {
                "trt_engine_cache_enable": "1",
                "trt_engine_cache_path": str(self.engines),
                "trt_timing_cache_enable": "1",
                "trt_timing_cache_path": str(self.engines),
            }
        return options
