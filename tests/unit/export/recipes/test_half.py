"""float16 keeps in float32 what overflows on the calibration rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator

from export.quantization import HALF, write_graph
from export.recipes.graphs import Graphs
from export.recipes.half import overflowing
from export.rows import Row, feed
from tests.fakes.tiny_exports import TinyExport, tiny_export, with_overflow


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyExport:
    return tiny_export(tmp_path_factory.mktemp("half"))


def test_nothing_overflows_in_a_sound_graph(tiny: TinyExport, tmp_path: Path) -> None:
    model = onnx.load(tiny.graphs.fused)
    assert overflowing(model, tiny.graphs.feeds, tmp_path / "observed.onnx") == []


def test_nodes_that_make_or_read_what_overflows_are_named_and_no_others(tiny: TinyExport, tmp_path: Path) -> None:
    model = onnx.load(with_overflow(tiny.graphs.fused, tmp_path / "planted.onnx"))
    found = overflowing(model, tiny.graphs.feeds, tmp_path / "observed.onnx")
    assert found == ["widened again", "narrowed"]


def test_a_planted_overflow_is_computed_in_float32_and_without_rows_nobody_knows_of_it(
    tiny: TinyExport, tmp_path: Path
) -> None:
    # plain operators, which the reference implementation computes in true float16; ONNX Runtime's CPU kernels do not
    planted = with_overflow(tiny.graphs.prepared, tmp_path / "planted.onnx")
    expected = tiny.logits(tiny.graphs.fused)[:1]
    names = {each.name for each in onnx.load(planted).graph.input}

    def logits(rows: Sequence[Row]) -> NDArray[np.float32]:
        graphs = Graphs(tiny.graphs.raw, planted, tiny.config, 0, tmp_path, rows)
        half = write_graph(HALF, graphs, tmp_path / "half.onnx")
        (found,) = ReferenceEvaluator(str(half)).run(None, dict(feed(tiny.rows[:1], names, 0)))
        assert found.dtype == np.float32
        return np.asarray(found)

    with np.errstate(all="ignore"):
        assert np.abs(logits(tiny.rows) - expected).max() < 0.1
        assert not np.isfinite(logits([])).all()


def test_a_float16_graph_holds_float16_weights_and_answers_nearly_alike(tiny: TinyExport) -> None:
    half = tiny.made(HALF)
    kinds = {each.data_type for each in onnx.load(half).graph.initializer if len(each.dims) == 2}
    assert kinds == {onnx.TensorProto.FLOAT16}
    expected = tiny.logits(tiny.graphs.fused)
    assert np.abs(tiny.logits(half) - expected).max() < 0.05
