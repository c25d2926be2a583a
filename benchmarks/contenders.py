"""Who is compared when files of one model are: PyTorch, Optimum's default int8 file, and what we published."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray

from export.comparison import Outputs
from export.failures import ExportFailure
from export.graph import export_graph
from export.host import describe_host
from export.measurement import Runner
from export.registry import Registry
from export.rows import Row, feed
from training.heads import Classifier, load_model
from training.outputs import arranged
from training.run import RunDirectory, RunRecord

NAMES = {"input_ids", "attention_mask", "token_type_ids"}


class Answering(Protocol):
    """Whatever gives the outputs of rows."""

    def logits(self, rows: Sequence[Row], order: Sequence[int], batch: int) -> Outputs:
        """In the rows' order, computed in batches taken along `order`."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to compute the same model."""

    PYTORCH: ClassVar[str] = "PyTorch float32"
    OPTIMUM: ClassVar[str] = "Optimum int8"

    name: str
    model: Answering
    size_bytes: int | None
    """Of its file; None for PyTorch."""


class Eager:
    """The checkpoint in PyTorch, one thread."""

    def __init__(self, model: Classifier, pad: int) -> None:
        self._model = model.eval()
        self._pad = pad
        torch.set_num_threads(1)

    def logits(self, rows: Sequence[Row], order: Sequence[int], batch: int) -> Outputs:
        """See `Answering`."""
        return arranged(self._run(rows, order, batch), [row.reads for row in rows])

    @torch.inference_mode()
    def _run(
        self, rows: Sequence[Row], order: Sequence[int], batch: int
    ) -> Iterator[tuple[list[int], NDArray[np.float32]]]:
        for start in range(0, len(order), batch):
            positions = list(order[start : start + batch])
            inputs = feed([rows[p] for p in positions], NAMES, self._pad)
            outputs = self._model(**{name: torch.from_numpy(value) for name, value in inputs.items()})
            yield positions, cast("NDArray[np.float32]", outputs.numpy())


def contenders(directory: RunDirectory, record: RunRecord, registry: str, work: Path) -> list[Contender]:
    """PyTorch, Optimum's file, and every published variant of the run's stable version for this processor.

    Raises ExportFailure where that version was not made of this run.
    """
    model = load_model(directory.checkpoint)
    pad = int(model.config.pad_token_id or 0)
    source = Registry(registry)
    bundle = source.open(record.name, source.resolve(record.name))
    if bundle.manifest.data_fingerprint != record.data_fingerprint or bundle.manifest.labels != record.labels:
        raise ExportFailure(
            f"{record.name} version {bundle.manifest.version} was not made of {directory.root}: export that run first"
        )
    optimum = optimum_int8(model, directory.checkpoint, work)
    files = {Contender.OPTIMUM: optimum}
    for variant in bundle.manifest.variants:
        if variant.device in {"any", "cpu"}:
            files[variant.name] = bundle.file(variant.file)
    found = [Contender(name, Runner(path, pad), path.stat().st_size) for name, path in files.items()]
    return [Contender(Contender.PYTORCH, Eager(model, pad), None), *found]


def optimum_int8(model: Classifier, checkpoint: Path, work: Path) -> Path:
    """What Optimum's quantizer makes of the model's graph by default for this processor: dynamic int8."""
    from optimum.onnxruntime import ORTQuantizer
    from optimum.onnxruntime.configuration import AutoQuantizationConfig

    export_graph(model, work / "model.onnx")
    shutil.copy(checkpoint / "config.json", work)
    sets = describe_host().instruction_sets
    usual = AutoQuantizationConfig.avx512_vnni if "avx512_vnni" in sets else AutoQuantizationConfig.avx2
    if "asimddp" in sets:
        usual = AutoQuantizationConfig.arm64
    quantizer = ORTQuantizer.from_pretrained(work, file_name="model.onnx")
    quantizer.quantize(usual(is_static=False), work / "optimum")
    return work / "optimum" / "model_quantized.onnx"
