"""From a checkpoint to an ONNX graph, through Optimum. The only module that knows Optimum.

The graph has the inputs input_ids, attention_mask and, where the encoder reads them, token_type_ids, int64
[batch, sequence], and one output: logits float32 [batch, labels] ([batch, 1] of a number, [batch, sequence, labels] of tokens),
or embedding float32 [batch, width]. Both axes of the inputs are dynamic. Pooling is inside.
"""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import onnx
from optimum.exporters.onnx import export
from optimum.exporters.tasks import TasksManager
from torch import nn
from transformers import PretrainedConfig

from export.failures import ExportFailure
from training.heads import Classifier

TASK = "text-classification"
TOKEN_TASK = "token-classification"  # noqa: S105 - no secret
OPSET = 17


def export_graph(model: Classifier, path: Path) -> Path:
    """Writes the float32 graph of the model to `path`. Raises ExportFailure for architectures that Optimum cannot export."""
    model.config.num_labels = model.settings.outputs
    task = TOKEN_TASK if model.settings.kind == "token" else TASK
    return _export(model, model.config, path, task)


def export_encoder_graph(model: nn.Module, config: PretrainedConfig, path: Path) -> Path:
    """The same of a module that gives one vector a text."""
    graph = onnx.load(_export(model, config, path))
    # Optimum knows no task of one vector a text, and calls the output as that of a classifier
    (output,) = graph.graph.output
    for node in graph.graph.node:
        node.output[:] = ["embedding" if name == output.name else name for name in node.output]
    output.name = "embedding"
    onnx.save(graph, path)
    return path


def _export(model: nn.Module, config: PretrainedConfig, path: Path, task: str = TASK) -> Path:
    kind = config.model_type
    try:
        constructor = TasksManager.get_exporter_config_constructor(
            "onnx", model_type=kind, task=task, library_name="transformers"
        )
    except (KeyError, ValueError) as error:
        raise ExportFailure(
            f"Optimum cannot export encoders of type {kind!r} to ONNX ({error}); choose another MODEL"
        ) from None
    configuration = constructor(config)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("optimum").setLevel(logging.ERROR)
        export(
            model=model.eval(), config=configuration, output=path, opset=max(OPSET, configuration.DEFAULT_ONNX_OPSET)
        )
    return path
