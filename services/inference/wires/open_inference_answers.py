"""Answers of the Open Inference Protocol: predictions as tensors, models as metadata and statistics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from open_inference import grpc_service_pb2 as pb

from services.inference.loading import LoadedModel
from services.inference.prediction import Classification, Prediction, Regression
from services.inference.statistics import Duration
from services.inference.versions.holdings import Standing, State
from services.inference.wires.open_inference_requests import (
    LABEL,
    OUT_OF_SCOPE,
    PROBABILITIES,
    SCORE,
    TEXT,
    TEXT_PAIR,
    TOKENS,
    VALUE,
    Wanted,
    outputs_offered,
)
from services.inference.wires.open_inference_tensors import write_bytes
from services.platform.failures import Failure, InvalidInput

Result = Classification | Regression
Tensor = tuple[str, list[int], bytes]
"""Datatype, shape and raw elements of an output."""
PLATFORM = "onnxruntime_onnx"
TYPES = {"BYTES": pb.TYPE_STRING, "FP32": pb.TYPE_FP32, "FP64": pb.TYPE_FP64, "BOOL": pb.TYPE_BOOL}
STATES = {State.LOADED: "READY", State.LOADING: "LOADING", State.UNLOADING: "UNLOADING"}


def response(
    request_id: str, prediction: Prediction[Result], outputs: Sequence[Wanted], labels: Sequence[str]
) -> pb.ModelInferResponse:
    """The wanted outputs in their order. A text that failed fails the call: the protocol has no errors per item."""
    rows = [_result(outcome, position) for position, outcome in enumerate(prediction.outcomes)]
    served = prediction.served
    answer = pb.ModelInferResponse(model_name=served.name, model_version=str(served.version), id=request_id)
    answer.parameters["variant"].string_param = served.variant
    answer.parameters["truncated_rows"].int64_param = sum(row.truncated for row in rows)
    for output in outputs:
        datatype, shape, raw = TENSORS[output.name](rows, output, labels)
        answer.outputs.add(name=output.name, datatype=datatype, shape=shape)
        answer.raw_output_contents.append(raw)
    return answer


def index(entries: Iterable[tuple[str, int | None, Standing]], ready: bool) -> pb.RepositoryIndexResponse:
    """Where each version stands; with `ready`, only those that answer."""
    return pb.RepositoryIndexResponse(
        models=[
            pb.RepositoryIndexResponse.ModelIndex(
                name=name,
                version="" if version is None else str(version),
                state=STATES.get(standing.state, "UNAVAILABLE"),
                reason=standing.message,
            )
            for name, version, standing in entries
            if not ready or standing.state is State.LOADED
        ]
    )


def _result(outcome: Result | Failure, position: int) -> Result:
    if isinstance(outcome, InvalidInput):
        name = TEXT_PAIR if outcome.field.endswith(TEXT_PAIR) else TEXT
        what = f"element {position} of input tensor {name!r}: {outcome.message}"
        raise InvalidInput(what, f"inputs[{name}][{position}]", outcome.reason, **outcome.metadata)
    if isinstance(outcome, Failure):
        raise outcome
    return outcome


def _value(rows: Sequence[Regression], output: Wanted, labels: Sequence[str]) -> Tensor:
    return "FP64", [len(rows), 1], np.array([row.value for row in rows], "<f8").tobytes()


def _label(rows: Sequence[Classification], output: Wanted, labels: Sequence[str]) -> Tensor:
    return "BYTES", [len(rows)], write_bytes([labels[int(row.probabilities.argmax())].encode() for row in rows])


def _probabilities(rows: Sequence[Classification], output: Wanted, labels: Sequence[str]) -> Tensor:
    if output.top:
        count = min(output.top, len(labels))
        return "BYTES", [len(rows), count], write_bytes(_best(rows, labels, count))
    probabilities = np.stack([row.probabilities for row in rows]).astype("<f4", copy=False)
    return "FP32", list(probabilities.shape), probabilities.tobytes()


def _best(rows: Sequence[Classification], labels: Sequence[str], count: int) -> list[bytes]:
    """The best of each row as value:index:label."""
    return [
        f"{row.probabilities[index]:f}:{index}:{labels[index]}".encode()
        for row in rows
        for index in np.argsort(-row.probabilities, kind="stable")[:count]
    ]


def _out_of_scope(rows: Sequence[Classification], output: Wanted, labels: Sequence[str]) -> Tensor:
    told = [row.scope.out_of_scope for row in rows if row.scope is not None]
    return "BOOL", [len(rows)], np.array(told, np.bool_).tobytes()


def _score(rows: Sequence[Classification], output: Wanted, labels: Sequence[str]) -> Tensor:
    return "FP32", [len(rows)], np.array([row.scope.score for row in rows if row.scope is not None], "<f4").tobytes()


TENSORS: dict[str, Callable[[Sequence[Any], Wanted, Sequence[str]], Tensor]] = {
    VALUE: _value,
    LABEL: _label,
    PROBABILITIES: _probabilities,
    OUT_OF_SCOPE: _out_of_scope,
    SCORE: _score,
}
"""By the name of the output, of rows of the task that offers it."""


def metadata(model: LoadedModel, versions: Sequence[int]) -> pb.ModelMetadataResponse:
    """Inputs and outputs of a model; shapes are those of the configuration behind the batch.

    A request may bring token ids instead of texts; they are no inputs here, since clients send all that are listed.
    """
    tensor = pb.ModelMetadataResponse.TensorMetadata
    return pb.ModelMetadataResponse(
        name=model.name,
        versions=[str(version) for version in versions],
        platform=PLATFORM,
        inputs=[tensor(name=name, datatype="BYTES", shape=[-1, 1]) for name in _texts(model)],
        outputs=[tensor(name=name, datatype=datatype, shape=[-1, *dims]) for name, datatype, dims in _outputs(model)],
        properties=_properties(model),
    )


def _properties(model: LoadedModel) -> dict[str, str]:
    properties = {
        "task": model.manifest.task,
        "variant": model.variant.name,
        "max_length": str(model.manifest.max_length),
        "alternative_inputs": ",".join(TOKENS),
    }
    if model.manifest.thresholds is not None:
        # from which probability each label applies, in the order of the probabilities
        properties["thresholds"] = ",".join(f"{threshold:.6g}" for threshold in model.manifest.thresholds)
    if model.variant.out_of_scope_threshold is not None:
        # above which score a text is out of scope
        properties["out_of_scope_threshold"] = f"{model.variant.out_of_scope_threshold:.9g}"
    return properties


def configuration(model: LoadedModel, max_rows: int) -> pb.ModelConfigResponse:
    """The configuration in Triton's words."""
    return pb.ModelConfigResponse(
        config=pb.ModelConfig(
            name=model.name,
            platform=PLATFORM,
            backend="onnxruntime",
            version_policy=pb.ModelVersionPolicy(specific=pb.ModelVersionPolicy.Specific(versions=[model.version])),
            max_batch_size=max_rows,
            input=[pb.ModelInput(name=name, data_type=pb.TYPE_STRING, dims=[1]) for name in _texts(model)],
            output=[
                pb.ModelOutput(name=name, data_type=TYPES[datatype], dims=dims)
                for name, datatype, dims in _outputs(model)
            ],
            dynamic_batching=pb.ModelDynamicBatching(),
        )
    )


def _outputs(model: LoadedModel) -> list[tuple[str, str, list[int]]]:
    """Name, datatype, and dimensions behind the batch; what is one element a row has none."""
    known = {
        PROBABILITIES: ("FP32", [len(model.manifest.labels)]),
        LABEL: ("BYTES", list[int]()),
        VALUE: ("FP64", [1]),
        OUT_OF_SCOPE: ("BOOL", list[int]()),
        SCORE: ("FP32", list[int]()),
    }
    return [(name, *known[name]) for name in outputs_offered(model.manifest)]


def _texts(model: LoadedModel) -> list[str]:
    return [TEXT, TEXT_PAIR] if model.manifest.pair else [TEXT]


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
            cache_hit=_duration(counted.cache_hit),
            cache_miss=_duration(counted.cache_miss),
        ),
        batch_stats=[
            pb.InferBatchStatistics(batch_size=rows, compute_infer=_duration(duration))
            for rows, duration in sorted(counted.batches.items())
        ],
    )


def _duration(duration: Duration) -> pb.StatisticDuration:
    return pb.StatisticDuration(count=duration.count, ns=duration.ns)
