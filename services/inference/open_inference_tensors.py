"""Tensors of the Open Inference Protocol to arrays and texts, and back."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from open_inference import grpc_service_pb2 as pb

from services.inference.prediction import Encoded, TextInput
from services.platform.failures import InvalidInput

TEXT, TEXT_PAIR = "text", "text_pair"
IDS, MASK, TYPES = "input_ids", "attention_mask", "token_type_ids"
MATRIX = 2
LENGTH = struct.Struct("<I")

Tensor = tuple[list[int], list[bytes] | NDArray[np.int64]]


def read_inputs(request: pb.ModelInferRequest) -> dict[str, Tensor]:
    """Name -> (shape, elements) of every input. Raises InvalidInput naming the tensor."""
    raw = request.raw_input_contents
    typed = [tensor.name for tensor in request.inputs if tensor.HasField("contents")]
    if raw and typed:
        raise _invalid(typed[0], "has contents although raw_input_contents is used: send one or the other")
    if raw and len(raw) != len(request.inputs):
        raise InvalidInput(
            f"{len(raw)} raw_input_contents for {len(request.inputs)} inputs: send one for each",
            "raw_input_contents",
            "RAW_COUNT",
        )
    tensors: dict[str, Tensor] = {}
    for position, tensor in enumerate(request.inputs):
        if tensor.name in tensors:
            raise _invalid(tensor.name, "is sent twice")
        shape = list(tensor.shape)
        if not shape or any(size < 0 for size in shape):
            raise _invalid(
                tensor.name, f"has the shape {shape}: every dimension must be 0 or more, the first is the batch"
            )
        elements = _elements(tensor, raw[position] if raw else None)
        expected = 1
        for size in shape:
            expected *= size
        if len(elements) != expected:
            raise _invalid(tensor.name, f"has {len(elements)} elements, its shape {shape} asks for {expected}")
        tensors[tensor.name] = (shape, elements)
    return tensors


def _elements(tensor: pb.ModelInferRequest.InferInputTensor, raw: bytes | None) -> list[bytes] | NDArray[np.int64]:
    if tensor.datatype == "BYTES":
        return read_bytes(raw, tensor.name) if raw is not None else list(tensor.contents.bytes_contents)
    if tensor.datatype not in {"INT64", "INT32"}:
        raise _invalid(
            tensor.name, f"has the datatype {tensor.datatype!r}: text is BYTES, ids and masks are INT64 or INT32"
        )
    kind = np.dtype("<i8") if tensor.datatype == "INT64" else np.dtype("<i4")
    if raw is None:
        values = tensor.contents.int64_contents if tensor.datatype == "INT64" else tensor.contents.int_contents
        return np.array(values, np.int64)
    if len(raw) % kind.itemsize:
        raise _invalid(tensor.name, f"has {len(raw)} raw bytes, not a multiple of {kind.itemsize}")
    return np.frombuffer(raw, kind).astype(np.int64, copy=False)


def read_bytes(raw: bytes, name: str) -> list[bytes]:
    """Elements of a raw BYTES tensor: 4-byte little-endian length, then the bytes."""
    elements: list[bytes] = []
    position, end = 0, len(raw)
    while position < end:
        if position + LENGTH.size > end:
            raise _invalid(name, f"ends inside the length of element {len(elements)}")
        (size,) = LENGTH.unpack_from(raw, position)
        position += LENGTH.size
        if position + size > end:
            raise _invalid(name, f"element {len(elements)} says {size} bytes, only {end - position} are left")
        elements.append(raw[position : position + size])
        position += size
    return elements


def write_bytes(elements: Sequence[bytes]) -> bytes:
    """The inverse of `read_bytes`."""
    return b"".join(LENGTH.pack(len(element)) + element for element in elements)


def texts_of(tensors: dict[str, Tensor]) -> list[TextInput]:
    """Texts (and pairs) of the tensors `text` [batch] or [batch, 1] and `text_pair`."""
    texts = _strings(tensors, TEXT)
    if TEXT_PAIR not in tensors:
        return [TextInput(text) for text in texts]
    pairs = _strings(tensors, TEXT_PAIR)
    if len(pairs) != len(texts):
        raise _invalid(TEXT_PAIR, f"has {len(pairs)} elements for {len(texts)} texts")
    return [TextInput(text, pair) for text, pair in zip(texts, pairs, strict=True)]


def _strings(tensors: dict[str, Tensor], name: str) -> list[str]:
    shape, elements = tensors[name]
    if not isinstance(elements, list):
        raise _invalid(name, "must have the datatype BYTES")
    if len(shape) > MATRIX or (len(shape) == MATRIX and shape[1] != 1):
        raise _invalid(name, f"has the shape {shape}: expected [batch] or [batch, 1]")
    strings = []
    for position, element in enumerate(elements):
        try:
            strings.append(element.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise _invalid(
                name, f"element {position} is not UTF-8 at byte {error.start}: encode texts as UTF-8"
            ) from None
    return strings


def rows_of(tensors: dict[str, Tensor], max_length: int, vocabulary: int) -> list[Encoded]:
    """Rows of input_ids, attention_mask and token_type_ids, int64 [batch, sequence]; right padding is cut off."""
    shape, ids = _matrix(tensors, IDS)
    if MASK not in tensors:
        raise _invalid(MASK, "is missing: send it with input_ids")
    masks = _same_shape(tensors, MASK, shape)
    types = _same_shape(tensors, TYPES, shape) if TYPES in tensors else np.zeros_like(ids)
    if shape[1] == 0:
        raise _invalid(IDS, "has no tokens")
    if ((ids < 0) | (ids >= vocabulary)).any():
        raise _invalid(IDS, f"holds an id outside 0..{vocabulary - 1}: use the model's own tokenizer")
    if ((masks != 0) & (masks != 1)).any():
        raise _invalid(MASK, "holds something else than 0 and 1")
    if ((types < 0) | (types > 1)).any():
        raise _invalid(TYPES, "holds something else than 0 and 1")
    return [_row(ids[i], masks[i], types[i], i, max_length) for i in range(shape[0])]


def _row(
    ids: NDArray[np.int64], mask: NDArray[np.int64], types: NDArray[np.int64], position: int, max_length: int
) -> Encoded:
    real = np.flatnonzero(mask)
    if len(real) == 0:
        raise _invalid(MASK, f"row {position} masks every token")
    length = int(real[-1]) + 1
    if length > max_length:
        raise _invalid(IDS, f"row {position} has {length} tokens, the model reads {max_length}: cut it")
    holes = None if len(real) == length else mask[:length]
    return Encoded(ids[:length], types[:length], truncated=False, attention_mask=holes)


def _matrix(tensors: dict[str, Tensor], name: str) -> tuple[list[int], NDArray[np.int64]]:
    shape, elements = tensors[name]
    if isinstance(elements, list):
        raise _invalid(name, "must have the datatype INT64 or INT32")
    if len(shape) != MATRIX:
        raise _invalid(name, f"has the shape {shape}: expected [batch, sequence]")
    return shape, elements.reshape(shape)


def _same_shape(tensors: dict[str, Tensor], name: str, wanted: list[int]) -> NDArray[np.int64]:
    shape, values = _matrix(tensors, name)
    if shape != wanted:
        raise _invalid(name, f"has the shape {shape}, {IDS} has {wanted}")
    return values


def _invalid(name: str, what: str) -> InvalidInput:
    shown = name[:64]
    return InvalidInput(f"input tensor {shown!r} {what}", f"inputs[{shown}]", "INVALID_TENSOR", tensor=shown)
