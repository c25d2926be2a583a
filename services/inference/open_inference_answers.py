"""Answers of the Open Inference Protocol: predictions as tensors, models as metadata and statistics."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from open_inference import grpc_service_pb2 as pb

from services.inference.loading import LoadedModel
from services.inference.open_inference_tensors import IDS, MASK, TEXT, TEXT_PAIR, TYPES, write_bytes
from services.inference.prediction import Classification, Prediction
from services.inference.statistics import Duration
from services.platform.failures import Failure, InvalidInput

PROBABILITIES, LABEL = "probabilities", "label"
OUTPUTS = (PROBABILITIES, LABEL)
PLATFORM = "onnxruntime_onnx"


def response(request: pb.ModelInferRequest, prediction: Prediction, labels: list[str]) -> pb.ModelInferResponse:
    """The wanted outputs in the wanted order. A text that failed fails the call: the protocol has no errors per item."""
    rows: list[Classification] = []
    for outcome in prediction.outcomes:
        if isinstance(outcome, Failure):
            raise outcome
        rows.append(outcome)
    answer = pb.ModelInferResponse(
        model_name=prediction.served.name, model_version=str(prediction.served.version), id=request.id
    )
    answer.parameters["variant"].string_param = prediction.served.variant
    wanted = list(request.outputs) or [pb.ModelInferRequest.InferRequestedOutputTensor(name=name) for name in OUTPUTS]
    for output in wanted:
        _add(answer, output, rows, labels)
    return answer


def _add(
    answer: pb.ModelInferResponse,
    output: pb.ModelInferRequest.InferRequestedOutputTensor,
    rows: Sequence[Classification],
    labels: list[str],
) -> None:
    top = output.parameters["classification"].int64_param if "classification" in output.parameters else 0
    if top < 0:
        raise InvalidInput("classification must be 1 or more", f"outputs[{output.name}]", "INVALID_OUTPUT")
    if output.name == PROBABILITIES and top:
        count = min(top, len(labels))
        _tensor(answer, PROBABILITIES, "BYTES", [len(rows), count], write_bytes(_classified(rows, labels, count)))
    elif output.name == PROBABILITIES:
        matrix = np.array([row.probabilities for row in rows], np.dtype("<f4")).reshape(len(rows), len(labels))
        _tensor(answer, PROBABILITIES, "FP32", list(matrix.shape), matrix.tobytes())
    elif output.name == LABEL:
        best = [row.labels[0].label.encode() for row in rows]
        _tensor(answer, LABEL, "BYTES", [len(rows)], write_bytes(best))
    else:
        known = " and ".join(OUTPUTS)
        raise InvalidInput(f"there is no output {output.name[:64]!r}, only {known}", "outputs", "INVALID_OUTPUT")


def _classified(rows: Sequence[Classification], labels: list[str], count: int) -> list[bytes]:
    """The best of each row as value:index:label."""
    elements = []
    for row in rows:
        for index in np.argsort(-row.probabilities, kind="stable")[:count]:
            elements.append(f"{row.probabilities[index]:f}:{index}:{labels[index]}".encode())
    return elements


def _tensor(answer: pb.ModelInferResponse, name: str, datatype: str, shape: list[int], raw: bytes) -> None:
    answer.outputs.add(name=name, datatype=datatype, shape=shape)
    answer.raw_output_contents.append(raw)


def metadata(model: LoadedModel, versions: list[int]) -> pb.ModelMetadataResponse:
    """Inputs and outputs of a model. All inputs are listed; a request sends the text ones or the id ones."""
    tensor = pb.ModelMetadataResponse.TensorMetadata
    texts = [TEXT, TEXT_PAIR] if model.manifest.pair else [TEXT]
    return pb.ModelMetadataResponse(
        name=model.name,
        versions=[str(version) for version in versions],
        platform=PLATFORM,
        inputs=[tensor(name=name, datatype="BYTES", shape=[-1]) for name in texts],
        outputs=[
            tensor(name=PROBABILITIES, datatype="FP32", shape=[-1, len(model.manifest.labels)]),
            tensor(name=LABEL, datatype="BYTES", shape=[-1]),
        ],
        properties={
            "variant": model.variant.name,
            "max_length": str(model.manifest.max_length),
            "alternative_inputs": ",".join((IDS, MASK, TYPES)),
        },
    )


def configuration(model: LoadedModel, max_rows: int) -> pb.ModelConfigResponse:
    """The configuration in Triton's words."""
    texts = [TEXT, TEXT_PAIR] if model.manifest.pair else [TEXT]
    return pb.ModelConfigResponse(
        config=pb.ModelConfig(
            name=model.name,
            platform=PLATFORM,
            backend="onnxruntime",
            max_batch_size=max_rows,
            input=[pb.ModelInput(name=name, data_type=pb.TYPE_STRING, dims=[1]) for name in texts],
            output=[
                pb.ModelOutput(name=PROBABILITIES, data_type=pb.TYPE_FP32, dims=[len(model.manifest.labels)]),
                pb.ModelOutput(name=LABEL, data_type=pb.TYPE_STRING, dims=[1]),
            ],
        )
    )


def statistics(model: LoadedModel) -> pb.ModelStatistics:
    """Counters of one loaded version."""
    counted = model.statistics
    return pb.ModelStatistics(
        name=model.name,
        version=str(model.version),
        last_inference=counted.last_inference_ms,
        inference_count=counted.texts,
        execution_count=counted.compute_infer.count,
        inference_stats=pb.InferStatistics(
            success=_duration(counted.success),
            fail=_duration(counted.fail),
            queue=_duration(counted.queue),
            compute_input=_duration(counted.compute_input),
            compute_infer=_duration(counted.compute_infer),
            compute_output=_duration(counted.compute_output),
        ),
        batch_stats=[
            pb.InferBatchStatistics(batch_size=rows, compute_infer=_duration(duration))
            for rows, duration in sorted(counted.batches.items())
        ],
    )


def _duration(duration: Duration) -> pb.StatisticDuration:
    return pb.StatisticDuration(count=duration.count, ns=duration.ns)
