"""ONNX Runtime sessions of one variant, on the device that was asked for.

On a CPU there are two over the same file. The narrow one has no threads of its own: each worker runs it on its own
thread, and since the weights belong to the session they are held once. The wide one spreads a single batch over all
cores: better for a lone text unless it is short (`host_costs`). Measured on 2 cores: under load narrow sessions do up to
1.3 times the work, for a lone text of 64 tokens and more the wide one is 1.2 to 1.8 times as fast.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from services.inference.prediction import Encoded


class DeviceUnavailable(Exception):
    """The device that was asked for cannot be had."""


class BrokenModel(Exception):
    """ONNX Runtime refuses the file."""


@dataclass(frozen=True, slots=True)
class Sessions:
    """The sessions of one variant. `wide` is None where there is one core, or a GPU."""

    narrow: onnxruntime.InferenceSession
    wide: onnxruntime.InferenceSession | None
    inputs: frozenset[str]


def open_sessions(file: Path, device: Literal["cpu", "cuda"], cores: int) -> Sessions:
    """Loads a variant. Raises BrokenModel, or DeviceUnavailable when CUDA was asked for and is not what runs."""
    if device == "cuda":
        session = _open(file, 1, ["CUDAExecutionProvider", "CPUExecutionProvider"])
        first = session.get_providers()[0]
        if first != "CUDAExecutionProvider":
            raise DeviceUnavailable(
                f"CUDA was asked for, but ONNX Runtime runs on {first}: install the CUDA and cuDNN libraries that "
                f"onnxruntime-gpu {onnxruntime.__version__} is built for, check `nvidia-smi`, or start with --device cpu"
            )
        return Sessions(session, None, _inputs(session))
    narrow = _open(file, 1, ["CPUExecutionProvider"])
    wide = _open(file, cores, ["CPUExecutionProvider"]) if cores > 1 else None
    return Sessions(narrow, wide, _inputs(narrow))


def preload_cuda() -> None:
    """Finds the CUDA libraries that wheels bring. Call it once, before the first session."""
    preload = getattr(onnxruntime, "preload_dlls", None)
    if preload is not None:
        preload()


def run(
    session: onnxruntime.InferenceSession, rows: list[Encoded], inputs: frozenset[str], pad: int, output: str = "logits"
) -> NDArray[np.float32]:
    """One output, float32 [rows, ...], of a batch, padded on the right to its longest row."""
    longest = max(len(row) for row in rows)
    ids = np.full((len(rows), longest), pad, np.int64)
    mask = np.zeros((len(rows), longest), np.int64)
    types = np.zeros((len(rows), longest), np.int64)
    for position, row in enumerate(rows):
        length = len(row)
        ids[position, :length] = row.input_ids
        mask[position, :length] = 1 if row.attention_mask is None else row.attention_mask
        if row.token_type_ids is not None:
            types[position, :length] = row.token_type_ids
    feed = {"input_ids": ids, "attention_mask": mask}
    if "token_type_ids" in inputs:
        feed["token_type_ids"] = types
    result: NDArray[np.float32] = session.run([output], feed)[0]
    return result


def _open(file: Path, threads: int, providers: list[str]) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # spinning threads that outnumber the cores halve throughput
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=providers)
    except Exception as error:  # onnxruntime raises a dozen unrelated types for a bad file
        if "CUDA" in str(error):
            raise DeviceUnavailable(f"ONNX Runtime cannot use CUDA: {error}") from None
        raise BrokenModel(f"{file.name}: {str(error).splitlines()[0][:300]}") from None


def _inputs(session: onnxruntime.InferenceSession) -> frozenset[str]:
    return frozenset(node.name for node in session.get_inputs())
