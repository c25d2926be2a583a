"""From a checkpoint to an ONNX graph, through Optimum. The only module that knows Optimum.

The graph has the inputs input_ids, attention_mask and, where the encoder reads them, token_type_ids, int64
[batch, sequence], and one output, logits float32 [batch, labels]; both axes are dynamic. Pooling is inside.
"""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

from optimum.exporters.onnx import export
from optimum.exporters.tasks import TasksManager

from export.failures import ExportFailure
from training.heads import SequenceClassifier

TASK = "text-classification"
OPSET = 17


def export_graph(model: SequenceClassifier, path: Path) -> Path:
    """Writes the float32 graph of the model to `path`. Raises ExportFailure for architectures that Optimum cannot export."""
    kind = model.config.model_type
    try:
        constructor = TasksManager.get_exporter_config_constructor(
            "onnx", model_type=kind, task=TASK, library_name="transformers"
        )
    except (KeyError, ValueError) as error:
        raise ExportFailure(
            f"Optimum cannot export encoders of type {kind!r} to ONNX ({error}); choose another MODEL"
        ) from None
    model.config.num_labels = len(model.settings.labels)
    configuration = constructor(model.config)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("optimum").setLevel(logging.ERROR)
        export(
            model=model.eval(), config=configuration, output=path, opset=max(OPSET, configuration.DEFAULT_ONNX_OPSET)
        )
    return path
