from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from services.inference.loading import LoadedModel
from services.inference.pipeline import Answered
from services.inference.prediction import Embedding, Encoded, Reading
from services.inference.queries import PLAIN, EmbedQuery, ModelReference, TextInput, VectorFormat
from services.inference.tasks.embedding import embedding, normalised

MODEL = cast("LoadedModel", SimpleNamespace())
TEXT = TextInput("text")
vectors = arrays(np.float32, 16, elements=st.floats(-100, 100, width=32))


def embed(vector: NDArray[np.float32], **options: Any) -> Embedding:
    query = EmbedQuery(ModelReference("vectors"), None, PLAIN, [TEXT], **options)
    return embedding(
        MODEL, Answered(TEXT, Reading([Encoded(np.zeros(4, np.int64))], 4, False), [vector], False), query=query
    )


@given(vectors, st.integers(1, 16))
def test_a_cut_vector_has_length_one_again(vector: NDArray[np.float32], dimensions: int) -> None:
    result = embed(vector, dimensions=dimensions).vector
    assert result.shape == (dimensions,)
    length = float(np.linalg.norm(result))
    assert abs(length - 1.0) < 1e-5 or not np.abs(vector[:dimensions]).max() > 1e-6


def test_a_raw_vector_is_what_the_model_gave() -> None:
    vector = np.array([3.0, 4.0], np.float32)
    assert embed(vector, raw=True).vector.tolist() == [3.0, 4.0]
    assert embed(vector, raw=True, dimensions=1).vector.tolist() == [3.0]


@given(vectors)
def test_signed_bytes_keep_cosines_within_a_hundredth(vector: NDArray[np.float32]) -> None:
    result = embed(vector, format=VectorFormat.INT8)
    assert result.vector.dtype == np.int8
    assert np.abs(result.vector.astype(int)).max() <= 127
    back = normalised(result.vector.astype(np.float32) * np.float32(result.scale))
    if np.abs(vector).max() > 1e-6:
        assert float(back @ normalised(vector)) > 0.99


def test_a_vector_of_zeros_stays_zeros_in_every_format() -> None:
    zeros = np.zeros(4, np.float32)
    assert embed(zeros).vector.tolist() == [0.0] * 4
    assert embed(zeros, format=VectorFormat.INT8).vector.tolist() == [0] * 4
    assert embed(zeros, format=VectorFormat.INT8).scale == 0.0
