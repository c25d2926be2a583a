"""ONNX Runtime sessions of one variant, on the device that was asked for and on no other.

On a CPU a narrow session has no threads of its own: each worker runs it on its own thread, and since the weights belong to
the session they are held once. A wide one spreads a single batch over all cores. Which are used, `calibration` decides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from services.inference.execution.bound_run import BoundRun
from services.inference.execution.devices import CPU, FIRST, Device, Provider
from services.inference.execution.padding import Padding
from services.inference.prediction import Encoded

HEAVY = frozenset(
    {
        "MatMul",
        "FusedMatMul",
        "Gemm",
        "FusedGemm",
        "MatMulNBits",
        "Attention",
        "MultiHeadAttention",
        "QAttention",
        "Softmax",
    }
    | {"LayerNormalization", "SkipLayerNormalization", "EmbedLayerNormalization", "Gelu", "BiasGelu", "FastGelu", "Erf"}
)
"""What a transformer's time goes into. Beside a GPU the CPU computes shapes and masks, on purpose, but never these."""


class DeviceUnavailable(Exception):
    """The device that was asked for cannot be had."""


class BrokenModel(Exception):
    """ONNX Runtime refuses the file."""


class RawSession(Protocol):
    """What is used of onnxruntime.InferenceSession."""

    def get_providers(self) -> list[str]:
        """Providers that it really has."""

    def get_inputs(self) -> list[Any]:
        """Inputs, with `name`."""

    def get_provider_graph_assignment_info(self) -> Sequence[Any]:
        """Which provider computes which nodes."""

    def run(self, output_names: list[str], input_feed: dict[str, NDArray[np.int64]]) -> list[Any]:
        """Outputs."""


OpenRaw = Callable[[Path, int, list[Provider]], RawSession]
"""Opens a file with so many threads."""


class Session:
    """A session with what it is fed. Thread-safe."""

    def __init__(self, raw: RawSession, threads: int, pad: int, outputs: tuple[str, ...]) -> None:
        self.raw = raw
        self.threads = threads
        self.inputs = frozenset(node.name for node in raw.get_inputs())
        self._padding = Padding(pad, self.inputs)
        self._outputs = list(outputs)
        self._bound: BoundRun | None = None

    def bind(self, device: Device) -> None:
        """From now on inputs lie in buffers on the device."""
        self._bound = BoundRun(self.raw, self._outputs, device.kind != "cpu", device.id)

    def unbind(self) -> None:
        """Inputs are handed over by ONNX Runtime again."""
        self._bound = None

    def run(self, rows: list[Encoded]) -> NDArray[np.float32]:
        """The output, float32 [rows, ...], of a batch; columns of a second one stand behind those of the first."""
        feed = self._padding.feed(rows)
        results: list[NDArray[np.float32]] = (
            self._bound(feed) if self._bound is not None else self.raw.run(self._outputs, feed)
        )
        return results[0] if len(results) == 1 else np.concatenate(results, axis=1)


class Opener:
    """Opens sessions of one file."""

    def __init__(
        self,
        file: Path,
        device: Device,
        pad: int,
        outputs: tuple[str, ...],
        max_length: int,
        open_raw: OpenRaw | None = None,
    ) -> None:
        self._file = file
        self.device = device
        self._pad = pad
        self._outputs = outputs
        self._max_length = max_length
        self._open_raw = open_raw or open_onnxruntime

    def open(self, threads: int) -> Session:
        """Raises BrokenModel, or DeviceUnavailable when what was asked for is not what runs."""
        device = self.device
        inputs = self._input_names() if device.kind == "tensorrt" else ()
        raw = self._open_raw(self._file, threads, device.providers(inputs, self._max_length))
        _require(raw, device)
        return Session(raw, threads, self._pad, self._outputs)

    def _input_names(self) -> tuple[str, ...]:
        return tuple(sorted(node.name for node in self._open_raw(self._file, 1, [(CPU, {})]).get_inputs()))


def _require(raw: RawSession, device: Device) -> None:
    """The device's provider comes first, does work, and leaves nothing heavy to the CPU."""
    first = raw.get_providers()[0]
    if first != FIRST[device.kind]:
        raise DeviceUnavailable(
            f"{device.kind} was asked for, but ONNX Runtime runs on {first}: install the libraries that onnxruntime-gpu "
            f"{onnxruntime.__version__} is built for (CUDA and cuDNN, for tensorrt TensorRT as well), check `nvidia-smi`, "
            "or start with --device cpu"
        )
    if not device.on_gpu:
        return
    nodes = assignment(raw)
    strayed = sorted({kind for (provider, kind) in nodes if provider == CPU and kind in HEAVY})
    if strayed:
        raise BrokenModel(f"on {device.kind}, ONNX Runtime leaves {', '.join(strayed)} to the CPU")
    if not any(provider == first for provider, _ in nodes):
        raise BrokenModel(f"ONNX Runtime gives no node to {first}")


def assignment(raw: RawSession) -> Counter[tuple[str, str]]:
    """How many nodes of which operator each provider computes."""
    return Counter(
        (part.ep_name, node.op_type) for part in raw.get_provider_graph_assignment_info() for node in part.get_nodes()
    )


def preload_cuda() -> None:
    """Finds the CUDA libraries that wheels bring. Call it once, before the first session."""
    preload = getattr(onnxruntime, "preload_dlls", None)
    if preload is not None:
        preload()


def open_onnxruntime(file: Path, threads: int, providers: list[Provider]) -> RawSession:
    """An ONNX Runtime session. Raises BrokenModel or DeviceUnavailable."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # spinning threads that outnumber the cores halve throughput
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if providers[0][0] != CPU:
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    try:
        session: RawSession = onnxruntime.InferenceSession(str(file), options, providers=providers)
    except Exception as error:  # onnxruntime raises a dozen unrelated types for a bad file
        if providers[0][0] != CPU and any(word in str(error) for word in ("CUDA", "cuda", "TensorRT", "Tensorrt")):
            raise DeviceUnavailable(f"ONNX Runtime cannot use {providers[0][0]}: {error}") from None
        raise BrokenModel(f"{file.name}: {str(error).splitlines()[0][:300]}") from None
    return session
