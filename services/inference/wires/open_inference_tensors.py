"""Tensors of the Open Inference Protocol to arrays and texts, and back. Knows nothing of models.

A raw tensor is little-endian; an element of a raw BYTES tensor is its length in 4 bytes and then its bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from open_inference import grpc_service_pb2 as pb

from services.platform.failures import InvalidInput

InputTensor = pb.ModelInferRequest.InferInputTensor

SHOWN = 64
"""Characters of a caller's name that an error repeats: a status travels in headers, which are small."""
LENGTH = struct.Struct("<I")
INTEGERS: dict[str, np.dtype[np.int64 | np.int32]] = {"INT64": np.dtype("<i8"), "INT32": np.dtype("<i4")}


def strings(tensor: InputTensor, raw: bytes | None, most: int) -> list[str]:
    """Texts of a BYTES tensor of shape [batch] or [batch, 1]; `raw` None: they are in the tensor itself.

    Raises InvalidInput that names the tensor, and the element that is not UTF-8.
    """
    if tensor.datatype != "BYTES":
        raise invalid(tensor.name, f"has the datatype {tensor.datatype[:SHOWN]!r}: texts are BYTES")
    if len(tensor.shape) not in {1, 2} or list(tensor.shape[1:]) not in ([], [1]):
        raise invalid(tensor.name, f"has the shape {_shape(tensor)}: expected [batch] or [batch, 1]")
    rows = _rows(tensor, most)
    if raw is None:
        elements: Sequence[bytes] = tensor.contents.bytes_contents
        if len(elements) != rows:
            raise invalid(tensor.name, f"has {len(elements)} elements, its shape {_shape(tensor)} asks for {rows}")
    else:
        elements = read_bytes(raw, rows, tensor.name)
    return [_text(element, position, tensor.name) for position, element in enumerate(elements)]


def matrix(tensor: InputTensor, raw: bytes | None, most: int) -> NDArray[np.int64]:
    """An INT64 or INT32 tensor of shape [batch, sequence], as int64; a view of `raw` where that is possible.

    Raises InvalidInput that names the tensor.
    """
    if tensor.datatype not in INTEGERS:
        raise invalid(
            tensor.name, f"has the datatype {tensor.datatype[:SHOWN]!r}: ids and masks are {' or '.join(INTEGERS)}"
        )
    if len(tensor.shape) != 2 or tensor.shape[1] < 1:
        raise invalid(tensor.name, f"has the shape {_shape(tensor)}: expected [batch, sequence]")
    rows, columns = _rows(tensor, most), tensor.shape[1]
    kind = INTEGERS[tensor.datatype]
    if raw is None:
        contents = tensor.contents
        values = contents.int64_contents if tensor.datatype == "INT64" else contents.int_contents
        if len(values) != rows * columns:
            raise invalid(
                tensor.name, f"has {len(values)} elements, its shape {_shape(tensor)} asks for {rows * columns}"
            )
        return np.fromiter(values, np.int64, len(values)).reshape(rows, columns)
    wanted = rows * columns * kind.itemsize
    if len(raw) != wanted:
        raise invalid(tensor.name, f"has {len(raw)} raw bytes, its shape {_shape(tensor)} asks for {wanted}")
    return np.frombuffer(raw, kind).astype(np.int64, copy=False).reshape(rows, columns)


def read_bytes(raw: bytes, count: int, name: str) -> list[bytes]:
    """The `count` elements of a raw BYTES tensor. Raises InvalidInput when there are fewer or more."""
    elements: list[bytes] = []
    position, end = 0, len(raw)
    for index in range(count):
        if position + LENGTH.size > end:
            raise invalid(name, f"ends before element {index} of {count}")
        (size,) = LENGTH.unpack_from(raw, position)
        position += LENGTH.size
        if position + size > end:
            raise invalid(name, f"element {index} says {size} bytes, only {end - position} are left")
        elements.append(raw[position : position + size])
        position += size
    if position != end:
        raise invalid(name, f"has {end - position} more bytes after its {count} elements")
    return elements


def write_bytes(elements: Sequence[bytes]) -> bytes:
    """The inverse of `read_bytes`."""
    return b"".join(LENGTH.pack(len(element)) + element for element in elements)


def invalid(name: str, what: str) -> InvalidInput:
    """The failure of an input tensor."""
    shown = name[:SHOWN]
    return InvalidInput(f"input tensor {shown!r} {what}", f"inputs[{shown}]", "INVALID_TENSOR", tensor=shown)


def _rows(tensor: InputTensor, most: int) -> int:
    rows = tensor.shape[0]
    if rows == 0:
        raise InvalidInput(f"input tensor {tensor.name!r} is empty: send at least one row", "inputs", "NO_INPUTS")
    if rows < 0:
        raise invalid(tensor.name, f"has the shape {_shape(tensor)}: the batch must be 1 or more")
    if rows > most:
        raise InvalidInput(
            f"input tensor {tensor.name!r} has {rows} rows, more than {most}: split them into several calls",
            f"inputs[{tensor.name}]",
            "TOO_MANY_INPUTS",
            limit=str(most),
        )
    return rows


def _shape(tensor: InputTensor) -> str:
    sizes = [str(size) for size in tensor.shape[:4]]
    return f"[{', '.join(sizes)}{', ...' if len(tensor.shape) > 4 else ''}]"


def _text(element: bytes, position: int, name: str) -> str:
    try:
        return element.decode("utf-8")
    except UnicodeDecodeError as error:
        what = f"element {position} is not UTF-8 at byte {error.start}: encode texts as UTF-8"
        raise invalid(name, what) from None
