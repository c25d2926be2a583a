from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from open_inference import grpc_service_pb2 as pb

from services.inference.wires.open_inference_tensors import matrix, read_bytes, strings, write_bytes
from services.platform.failures import InvalidInput

Tensor = pb.ModelInferRequest.InferInputTensor
Contents = pb.InferTensorContents


@settings(deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=20))
def test_bytes_elements_survive_writing_and_reading(elements: list[bytes]) -> None:
    assert read_bytes(write_bytes(elements), len(elements), "text") == elements


@settings(deadline=None)
@given(st.binary(max_size=200), st.integers(0, 20))
def test_arbitrary_bytes_are_read_completely_or_refused(raw: bytes, count: int) -> None:
    try:
        elements = read_bytes(raw, count, "text")
    except InvalidInput as failure:
        assert "'text'" in failure.message
    else:
        assert write_bytes(elements) == raw


@settings(deadline=None)
@given(st.binary(max_size=200), st.lists(st.integers(-2, 9), max_size=4), st.sampled_from(["INT64", "INT32", "FP32"]))
def test_arbitrary_raw_integers_fill_their_shape_or_are_refused(raw: bytes, shape: list[int], datatype: str) -> None:
    try:
        values = matrix(Tensor(name="input_ids", datatype=datatype, shape=shape), raw, 256)
    except InvalidInput:
        pass
    else:
        assert list(values.shape) == shape
        assert values.astype({"INT64": "<i8", "INT32": "<i4"}[datatype]).tobytes() == raw


@settings(deadline=None)
@given(st.lists(st.text(max_size=30), min_size=1, max_size=8), st.booleans())
def test_texts_of_any_script_are_read_from_raw_and_from_contents(texts: list[str], column: bool) -> None:
    elements = [text.encode() for text in texts]
    shape = [len(texts), 1] if column else [len(texts)]
    assert strings(Tensor(name="text", datatype="BYTES", shape=shape), write_bytes(elements), 8) == texts
    typed = Tensor(name="text", datatype="BYTES", shape=shape, contents=Contents(bytes_contents=elements))
    assert strings(typed, None, 8) == texts


def test_int64_rows_are_a_view_of_the_message() -> None:
    raw = np.arange(6, dtype="<i8").tobytes()
    values = matrix(Tensor(name="input_ids", datatype="INT64", shape=[2, 3]), raw, 8)
    assert not values.flags.owndata
    assert values.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_typed_contents_of_both_widths_become_int64() -> None:
    wide = Tensor(name="i", datatype="INT64", shape=[1, 2], contents=Contents(int64_contents=[7, -(2**40)]))
    narrow = Tensor(name="i", datatype="INT32", shape=[1, 2], contents=Contents(int_contents=[7, -8]))
    assert matrix(wide, None, 8).tolist() == [[7, -(2**40)]]
    assert matrix(narrow, None, 8).tolist() == [[7, -8]]
    assert matrix(narrow, None, 8).dtype == np.int64


@pytest.mark.parametrize(
    ("shape", "raw", "message"),
    [
        ([1], b"", "ends before element 0 of 1"),
        ([1], b"\x02\x00\x00\x00a", "element 0 says 2 bytes, only 1 are left"),
        ([1], write_bytes([b"a", b"b"]), "has 5 more bytes after its 1 elements"),
        ([2], write_bytes([b"a", b"\xff"]), "element 1 is not UTF-8 at byte 0"),
        ([0], b"", "is empty"),
        ([-1], b"", "must be 1 or more"),
        ([9], b"", "has 9 rows, more than 8"),
        ([1, 2], b"", "expected [batch] or [batch, 1]"),
        ([1, 1, 1], b"", "expected [batch] or [batch, 1]"),
        ([], b"", "has the shape []"),
        ([2**62] * 1000, b"", "[4611686018427387904, 4611686018427387904, "),
    ],
)
def test_a_malformed_text_tensor_is_refused_by_name(shape: list[int], raw: bytes, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        strings(Tensor(name="text", datatype="BYTES", shape=shape), raw, 8)
    assert message in caught.value.message
    assert "'text'" in caught.value.message
    assert len(caught.value.message) < 300


def test_a_huge_batch_is_refused_before_its_elements_are_read() -> None:
    empty_elements = bytes(4 * 1_000_000)
    with pytest.raises(InvalidInput, match="1000000 rows, more than 256"):
        strings(Tensor(name="text", datatype="BYTES", shape=[1_000_000]), empty_elements, 256)
    with pytest.raises(InvalidInput, match="more bytes after its 1 elements"):
        strings(Tensor(name="text", datatype="BYTES", shape=[1]), empty_elements, 256)


@pytest.mark.parametrize("datatype", ["FP32", "INT64", "bytes", "", "B" * 1000])
def test_texts_must_be_bytes(datatype: str) -> None:
    with pytest.raises(InvalidInput, match="texts are BYTES"):
        strings(Tensor(name="text", datatype=datatype, shape=[1]), b"", 8)
