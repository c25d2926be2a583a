"""Protobuf messages to pipeline types and back."""

from __future__ import annotations

from bertline.inference.v1 import inference_pb2 as pb

from services.inference.prediction import Classification, ModelReference, Prediction, Query, TextInput
from services.platform.failures import Failure
from services.platform.statuses import status_of


def to_query(request: pb.ClassifyRequest, deadline: float | None) -> Query:
    """The query of a request; nothing is checked here but what protobuf itself allows."""
    selector = request.model
    selection = selector.WhichOneof("selection")
    reference = ModelReference(
        selector.name,
        selector.version if selection == "version" else None,
        (selector.label or None) if selection == "label" else None,
    )
    inputs = [TextInput(each.text, each.text_pair if each.HasField("text_pair") else None) for each in request.inputs]
    top_k = request.top_k if request.HasField("top_k") else 1
    return Query(reference, inputs, top_k or None, deadline)


def to_response(prediction: Prediction) -> pb.ClassifyResponse:
    """The response of a prediction."""
    served, timings = prediction.served, prediction.timings
    return pb.ClassifyResponse(
        results=[_result(outcome) for outcome in prediction.outcomes],
        model=pb.ModelInfo(name=served.name, version=served.version, variant=served.variant),
        timings=pb.Timings(
            tokenization_us=int(timings.tokenization * 1e6),
            queue_us=int(timings.queue * 1e6),
            inference_us=int(timings.inference * 1e6),
            total_us=int(timings.total * 1e6),
        ),
    )


def _result(outcome: Classification | Failure) -> pb.ClassifyResult:
    if isinstance(outcome, Failure):
        return pb.ClassifyResult(error=status_of(outcome))
    return pb.ClassifyResult(
        classification=pb.Classification(
            labels=[pb.LabelScore(label=each.label, probability=each.probability) for each in outcome.labels],
            token_count=outcome.token_count,
            truncated=outcome.truncated,
        )
    )
