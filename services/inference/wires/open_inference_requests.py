"""Requests of the Open Inference Protocol, parsed once: which model, until when, which inputs, which outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from open_inference import grpc_service_pb2 as pb

from export.manifest import SCOPE_OUTPUT, Manifest
from services.inference.loading import LoadedModel
from services.inference.prediction import Encoded
from services.inference.queries import ModelReference, TextInput
from services.inference.wires.open_inference_tensors import SHOWN, InputTensor, invalid, matrix, strings
from services.platform.failures import InvalidInput, ModelNotFound

TEXT, TEXT_PAIR = "text", "text_pair"
IDS, MASK, TYPES = "input_ids", "attention_mask", "token_type_ids"
TEXTS, TOKENS = (TEXT, TEXT_PAIR), (IDS, MASK, TYPES)
PROBABILITIES, LABEL, VALUE = "probabilities", "label", "value"
OUT_OF_SCOPE, SCORE = "out_of_scope", SCOPE_OUTPUT
OUTPUTS = (PROBABILITIES, LABEL)
OUTPUTS_OF = {"regression": (VALUE,)}
"""Names of a model's outputs, by its task; `OUTPUTS` for all others."""

TIMEOUT, CLASSIFICATION, SHARED_MEMORY = "timeout", "classification", "shared_memory_region"
INT64 = "int64_param"
VERSION_DIGITS = 18

Sources = dict[str, tuple[InputTensor, bytes | None]]
"""Name of an input -> its tensor, and its raw elements unless the tensor holds them itself."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What to classify: texts, or token ids that the caller made itself; the other list is empty."""

    texts: list[TextInput]
    rows: list[Encoded]


@dataclass(frozen=True, slots=True)
class Wanted:
    """An output that the caller wants; with `top`, so many of the best classes instead of the tensor."""

    name: str
    top: int = 0


def reference_of(name: str, version_or_label: str) -> ModelReference:
    """A version is a number, anything else a label; empty means the version labelled "stable". Raises ModelNotFound."""
    for word in (name, version_or_label):
        if len(word) > SHOWN:
            raise ModelNotFound(f"no model, version or label is named {word[:SHOWN]!r}...: names are shorter")
    if version_or_label.isascii() and version_or_label.isdigit() and len(version_or_label) <= VERSION_DIGITS:
        return ModelReference(name, version=int(version_or_label))
    return ModelReference(name, label=version_or_label or None)


def deadline_of(request: pb.ModelInferRequest, deadline: float | None, now: float) -> float | None:
    """The call's deadline, or the end of the request's own timeout if that is sooner; in the clock of `now`."""
    timeout_us = _natural(request.parameters, TIMEOUT, "request")
    if timeout_us == 0:
        return deadline
    own = now + timeout_us / 1e6
    return own if deadline is None else min(own, deadline)


def outputs_offered(manifest: Manifest) -> tuple[str, ...]:
    """What a model gives."""
    scope = (OUT_OF_SCOPE, SCORE) if manifest.out_of_scope is not None else ()
    return (*OUTPUTS_OF.get(manifest.task, OUTPUTS), *scope)


def outputs_of(request: pb.ModelInferRequest, offered: Sequence[str]) -> list[Wanted]:
    """The wanted outputs in their order; all of them when the request names none. Raises InvalidInput."""
    wanted = []
    for output in request.outputs:
        field = f"outputs[{output.name[:SHOWN]}]"
        if output.name not in offered:
            what = f"there is no output {output.name[:SHOWN]!r}, only {' and '.join(offered)}"
            raise InvalidInput(what, field, "INVALID_OUTPUT")
        if SHARED_MEMORY in output.parameters:
            raise InvalidInput("outputs in shared memory are not supported", field, "INVALID_OUTPUT")
        top = _natural(output.parameters, CLASSIFICATION, field)
        if top and output.name != PROBABILITIES:
            raise InvalidInput(f"only {PROBABILITIES!r} can be asked for as classification", field, "INVALID_OUTPUT")
        wanted.append(Wanted(output.name, top))
    return wanted or [Wanted(name) for name in offered]


def inputs_of(request: pb.ModelInferRequest, model: LoadedModel, most: int) -> Inputs:
    """The inputs of a request, at most `most` rows of them. Raises InvalidInput."""
    sources = _sources(request)
    if TEXT in sources:
        return Inputs(_texts(sources, most), [])
    if IDS in sources:
        return Inputs([], _tokens(sources, most, model.manifest.max_length, model.tokenization.vocabulary_size))
    raise InvalidInput(f"send the input {TEXT!r}, or {IDS!r} with {MASK!r}", "inputs", "NO_INPUTS")


def _sources(request: pb.ModelInferRequest) -> Sources:
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        what = f"{len(raw)} raw_input_contents for {len(request.inputs)} inputs: send one for each"
        raise InvalidInput(what, "raw_input_contents", "RAW_COUNT")
    sources: Sources = {}
    for position, tensor in enumerate(request.inputs):
        if tensor.name not in TEXTS + TOKENS:
            raise invalid(tensor.name, f"is unknown: send {TEXT} (and {TEXT_PAIR}), or {IDS} with {MASK}")
        if tensor.name in sources:
            raise invalid(tensor.name, "is sent twice")
        if SHARED_MEMORY in tensor.parameters:
            raise invalid(tensor.name, "is in shared memory, which is not supported: send its contents")
        if raw and tensor.HasField("contents"):
            raise invalid(tensor.name, "has contents although raw_input_contents is used: send one or the other")
        sources[tensor.name] = (tensor, raw[position] if raw else None)
    if any(name in sources for name in TEXTS) and any(name in sources for name in TOKENS):
        raise InvalidInput("texts and token ids in one request: send one or the other", "inputs", "MIXED_INPUTS")
    return sources


def _texts(sources: Sources, most: int) -> list[TextInput]:
    texts = strings(*sources[TEXT], most)
    if TEXT_PAIR not in sources:
        return [TextInput(text) for text in texts]
    pairs = strings(*sources[TEXT_PAIR], most)
    if len(pairs) != len(texts):
        raise invalid(TEXT_PAIR, f"has {len(pairs)} elements for {len(texts)} texts")
    return [TextInput(text, pair) for text, pair in zip(texts, pairs, strict=True)]


def _tokens(sources: Sources, most: int, max_length: int, vocabulary: int) -> list[Encoded]:
    """Rows without the padding on their right; a mask is kept only where it has holes."""
    ids = matrix(*sources[IDS], most)
    if MASK not in sources:
        raise invalid(MASK, f"is missing: send it with {IDS}")
    masks = matrix(*sources[MASK], most)
    types = matrix(*sources[TYPES], most) if TYPES in sources else np.zeros_like(ids)
    for name, values, high in ((IDS, ids, vocabulary - 1), (MASK, masks, 1), (TYPES, types, 1)):
        if values.shape != ids.shape:
            raise invalid(name, f"has the shape {list(values.shape)}, {IDS} has {list(ids.shape)}")
        _refuse(name, (values < 0) | (values > high), f"holds something outside 0..{high}")
    real = masks.sum(axis=1)
    _refuse(MASK, real == 0, "masks every token")
    lengths = masks.shape[1] - masks[:, ::-1].argmax(axis=1)
    _refuse(IDS, lengths > max_length, f"has more than the {max_length} tokens that the model reads: cut it")
    return [
        Encoded(ids[row, :length], types[row, :length], None if real[row] == length else masks[row, :length])
        for row, length in enumerate(lengths)
    ]


def _refuse(name: str, bad: NDArray[np.bool_], what: str) -> None:
    """Raises InvalidInput that names the first row with something bad; `bad` is [rows] or [rows, tokens]."""
    if bad.any():
        raise invalid(name, f"row {int(bad.nonzero()[0][0])} {what}")


def _natural(parameters: Mapping[str, pb.InferParameter], name: str, field: str) -> int:
    """An int64 parameter of 0 or more; 0 where it is not sent."""
    if name not in parameters:
        return 0
    parameter = parameters[name]
    if parameter.WhichOneof("parameter_choice") != INT64 or parameter.int64_param < 0:
        what = f"the parameter {name!r} must be an int64 of 0 or more"
        raise InvalidInput(what, f"{field}.parameters[{name}]", "INVALID_PARAMETER")
    return parameter.int64_param
