from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from benchmarks.limit import BATCH_SIZES, Layout, Limit, Model, Rate, over

WORDS = ["[PAD]", "[UNK]", "a", "b", "c", "银行"]


@pytest.fixture
def model(tmp_path: Path) -> Model:
    """Logits [sum of the ids under the mask, 3]: an answer that padding or a wrong row would change."""
    ids, mask = (
        helper.make_tensor_value_info(n, TensorProto.INT64, ["b", "s"]) for n in ("input_ids", "attention_mask")
    )
    nodes = [
        helper.make_node("Mul", ["input_ids", "attention_mask"], ["masked"]),
        helper.make_node("Cast", ["masked"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["numbers", "axis"], ["sum"], keepdims=1),
        helper.make_node("Mul", ["sum", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "three"], ["constant"]),
        helper.make_node("Concat", ["sum", "constant"], ["logits"], axis=1),
    ]
    constants = [
        helper.make_tensor("axis", TensorProto.INT64, [1], [1]),
        helper.make_tensor("zero", TensorProto.FLOAT, [1], [0.0]),
        helper.make_tensor("three", TensorProto.FLOAT, [1], [3.0]),
    ]
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["b", 2])
    graph = helper.make_graph(nodes, "sums", [ids, mask], [logits], constants)
    file = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), str(file))
    tokenizer = Tokenizer(WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return Model(file, tmp_path / "tokenizer.json", max_length=4, pad_token_id=5)


def test_a_text_alone_gives_the_models_own_logits(model: Model) -> None:
    limit = Limit(model, cores=2)
    assert limit.logits("a b").tolist() == [5.0, 3.0]
    assert limit.logits("银行 c").tolist() == [9.0, 3.0]
    assert limit.logits(("a", "b")).tolist() == [5.0, 3.0]


def test_the_bare_session_gives_the_same_answer(model: Model) -> None:
    limit = Limit(model, cores=2)
    assert limit.bare("a b").tolist() == limit.logits("a b").tolist() == [5.0, 3.0]


def test_measurements_over_equally_many_texts_become_one() -> None:
    whole = over([Rate(100.0, 0.01, 0.0), Rate(50.0, 0.03, 0.2)])
    assert whole.texts_per_second == pytest.approx(200 / 3), "the same texts in 1 s and in 2 s"
    assert (whole.cpu_seconds, whole.neighbours) == (0.02, 0.1)


def test_texts_are_cut_as_the_server_cuts_them(model: Model) -> None:
    assert Limit(model, cores=1).logits("a a a a a a a")[0] == 8.0


def test_every_text_is_computed_once_whatever_the_layout(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = Limit(model, cores=3)
    computed: list[float] = []
    inner = limit._run

    def noting(session: object, batch: list[object]) -> np.ndarray:
        logits = inner(session, batch)
        computed.extend(logits[:, 0].tolist())
        return logits

    monkeypatch.setattr(limit, "_run", noting)
    texts = [" ".join(["a"] * (1 + number % 4)) for number in range(37)]
    rate = limit.measure(texts)
    assert sorted(computed) == sorted(2.0 * (1 + number % 4) for number in range(37))
    assert rate.texts_per_second > 0
    assert rate.cpu_seconds > 0
    assert rate.neighbours >= 0


def test_batches_hold_neighbours_in_length_the_longest_first(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = Limit(model, cores=1)
    lengths: list[list[int]] = []
    inner = limit._run

    def noting(session: object, batch: list[Any]) -> NDArray[np.float32]:
        lengths.append([len(encoding) for encoding in batch])
        return inner(session, batch)

    monkeypatch.setattr(limit, "_run", noting)
    limit.measure(["a", "a b c", "a b", "a b c", "a"] * 4)
    assert lengths == [[3] * 8, [2] * 4 + [1] * 4, [1] * 4]


def test_the_fastest_layout_of_the_grid_is_kept(model: Model) -> None:
    limit = Limit(model, cores=2)
    chosen = limit.choose(lambda count: ["a b"] * count, seconds=0.01)
    assert set(limit.grid) == {Layout(s, t, b) for s, t in ((2, 1), (1, 2)) for b in BATCH_SIZES}
    assert limit.layout == chosen
    assert limit.grid[chosen] == max(limit.grid.values())
    assert limit.measure(["a"] * 10).texts_per_second > 0


def test_one_core_leaves_one_shape(model: Model) -> None:
    limit = Limit(model, cores=1)
    limit.choose(lambda count: ["a"] * count, seconds=0.01)
    assert set(limit.grid) == {Layout(1, 1, batch) for batch in BATCH_SIZES}
