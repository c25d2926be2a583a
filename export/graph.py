"""From a checkpoint to an ONNX graph, through Optimum. The only module that knows Optimum.

The graph has the inputs input_ids, attention_mask and, where the encoder reads them, token_type_ids, int64
[batch, sequence], and one output: logits float32 [batch, labels] ([batch, 1] of a number, [batch, sequence, labels] of tokens),
or embedding float32 [batch, width]. A classifier with a detector has a second one: out_of_scope_score float32 [batch, 1]. Both
axes of the inputs are dynamic. Pooling is inside.
"""

from __future__ import annotations

import logging
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import onnx
from optimum.exporters.onnx import export
from optimum.exporters.tasks import TasksManager
from torch import nn
from transformers import PretrainedConfig

from export.failures import ExportFailure
from export.manifest import SCOPE_OUTPUT
from training.heads import Classifier
from training.scope.model import ScopedClassifier

TASK = "text-classification"
TOKEN_TASK = "token-classification"  # noqa: S105 - no secret
OPSET = 17


def export_graph(model: Classifier, path: Path, scoped: ScopedClassifier | None = None) -> Path:
    """Writes the float32 graph of the model to `path`, with the detector of `scoped` if there is one.

    Raises ExportFailure for architectures that Optimum cannot export.
    """
    model.config.num_labels = model.settings.outputs
    task = TOKEN_TASK if model.settings.kind == "token" else TASK
    if scoped is None:
        return _export(model, model.config, path, task)
    return _export(scoped, model.config, path, task, SCOPE_OUTPUT)


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


def _export(
    model: nn.Module, config: PretrainedConfig, path: Path, task: str = TASK, second: str | None = None
) -> Path:
    kind = config.model_type
    try:
        constructor = TasksManager.get_exporter_config_constructor(
            "onnx", model_type=kind, task=task, library_name="transformers"
        )
    except (KeyError, ValueError) as error:
        raise ExportFailure(
            f"Optimum cannot export encoders of type {kind!r} to ONNX ({error}); choose another MODEL"
        ) from None
    configuration = (constructor if second is None else _with_output(constructor, second))(config)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("optimum").setLevel(logging.ERROR)
        export(
            model=model.eval(), config=configuration, output=path, opset=max(OPSET, configuration.DEFAULT_ONNX_OPSET)
        )
    return path


def _with_output(constructor: partial[Any], name: str) -> partial[Any]:
    """Makes configurations with one output more, of which Optimum's own know nothing."""
    kind = constructor.func

    class WithOutput(kind):  # type: ignore[misc,valid-type]  # Optimum chooses it
        @property
        def outputs(self) -> dict[str, dict[int, str]]:
            return {**super().outputs, name: {0: "batch_size"}}

    return partial(WithOutput, *constructor.args, **constructor.keywords)
