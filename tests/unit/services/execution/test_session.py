"""What was asked for is what runs, or the reason is said; the answers do not depend on how inputs are handed over."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from services.inference.execution.devices import CPU, CUDA, TENSORRT, Device
from services.inference.execution.layout import SessionSet
from services.inference.execution.padding import Padding
from services.inference.execution.session import BrokenModel, DeviceUnavailable, Opener, Session
from services.inference.prediction import Encoded
from tests.fakes.sessions import INPUTS, FakeRuntime
from tests.fakes.tiny_bundle import publish_tiny

FILE = Path("model.onnx")


def opener(device: Device, runtime: FakeRuntime) -> Opener:
    return Opener(FILE, device, 0, ("logits",), 128, runtime)


def test_cuda_that_is_not_there_is_named_and_nothing_else_runs() -> None:
    with pytest.raises(DeviceUnavailable, match="cuda was asked for, but ONNX Runtime runs on CPUExecutionProvider"):
        opener(Device("cuda"), FakeRuntime()).open(1)


def test_tensorrt_that_is_not_there_is_not_replaced_by_cuda() -> None:
    with pytest.raises(DeviceUnavailable, match="tensorrt was asked for, but ONNX Runtime runs on CUDA"):
        opener(Device("tensorrt"), FakeRuntime((CUDA, CPU))).open(1)


def test_shapes_may_be_computed_on_the_cpu_beside_a_gpu() -> None:
    nodes = {CUDA: ["MatMul", "Attention"], CPU: ["Shape", "Gather", "Unsqueeze", "Cast"]}
    session = opener(Device("cuda"), FakeRuntime((CUDA, CPU), nodes)).open(1)
    assert session.inputs == frozenset(INPUTS)


def test_a_layer_that_falls_back_to_the_cpu_is_refused() -> None:
    nodes = {CUDA: ["MatMul"], CPU: ["Shape", "SkipLayerNormalization", "Attention"]}
    with pytest.raises(BrokenModel, match="leaves Attention, SkipLayerNormalization to the CPU"):
        opener(Device("cuda"), FakeRuntime((CUDA, CPU), nodes)).open(1)


def test_a_device_that_gets_nothing_to_do_is_refused() -> None:
    with pytest.raises(BrokenModel, match="gives no node to TensorrtExecutionProvider"):
        opener(Device("tensorrt"), FakeRuntime((TENSORRT, CUDA, CPU), {CUDA: ["MatMul"]})).open(1)


def test_settings_of_a_gpu_reach_its_provider() -> None:
    runtime = FakeRuntime((CUDA, CPU))
    opener(Device("cuda", id=1, memory_bytes=1 << 30, arena="as_requested"), runtime).open(1)
    name, options = runtime.asked[-1][1][0]
    assert name == CUDA
    assert options["device_id"] == "1"
    assert options["gpu_mem_limit"] == str(1 << 30)
    assert options["arena_extend_strategy"] == "kSameAsRequested"
    assert options["use_tf32"] == "0"


def test_tensorrt_builds_one_engine_for_every_batch_and_keeps_it(tmp_path: Path) -> None:
    runtime = FakeRuntime((TENSORRT, CUDA, CPU))
    opener(Device("tensorrt", engines=tmp_path), runtime).open(1)
    names = [name for name, _ in runtime.asked[-1][1]]
    options = runtime.asked[-1][1][0][1]
    assert names == [TENSORRT, CUDA, CPU]
    assert options["trt_engine_cache_path"] == str(tmp_path)
    assert options["trt_fp16_enable"] == "1"
    assert options["trt_profile_min_shapes"] == "attention_mask:1x1,input_ids:1x1,token_type_ids:1x1"
    assert options["trt_profile_max_shapes"] == "attention_mask:128x128,input_ids:128x128,token_type_ids:128x128"


def test_one_session_serves_all_workers_of_one_thread_and_others_get_one_each() -> None:
    runtime = FakeRuntime()
    sessions = SessionSet(opener(Device(), runtime), cores=8, workers=8)
    assert [len(sessions.of(threads)) for threads in (1, 4, 8)] == [1, 2, 1]
    assert [threads for threads, _ in runtime.asked] == [1, 4, 4, 8]
    layout = sessions.settle(4, wide=True, bound=False)
    assert [session.threads for session in layout.sessions] == [4, 4, 8]


def test_a_layout_without_wide_runs_keeps_one_session() -> None:
    layout = SessionSet(opener(Device(), FakeRuntime()), cores=2, workers=2).settle(1, wide=False, bound=False)
    assert layout.wide is None
    assert len(layout.sessions) == 1


def rows(*lengths: int, masks: bool = False) -> list[Encoded]:
    mask = [np.array([1, 0] * 50, np.int64)[:length] if masks else None for length in lengths]
    return [
        Encoded(np.arange(1, length + 1), np.ones(length, np.int64) if masks else None, one)
        for length, one in zip(lengths, mask, strict=True)
    ]


@pytest.mark.parametrize("lengths", [(5,), (4, 4, 4), (2, 7, 1), (3000, 3000)])
def test_a_batch_is_padded_on_the_right(lengths: tuple[int, ...]) -> None:
    feed = Padding(9, frozenset(INPUTS)).feed(rows(*lengths))
    for position, length in enumerate(lengths):
        assert feed["input_ids"][position].tolist() == [*range(1, length + 1)] + [9] * (max(lengths) - length)
        assert feed["attention_mask"][position].tolist() == [1] * length + [0] * (max(lengths) - length)
        assert not feed["token_type_ids"][position].any()


def test_masks_and_types_of_callers_are_kept() -> None:
    feed = Padding(0, frozenset(INPUTS)).feed(rows(4, 2, masks=True))
    assert feed["attention_mask"].tolist() == [[1, 0, 1, 0], [1, 0, 0, 0]]
    assert feed["token_type_ids"].tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]
    assert "token_type_ids" not in Padding(0, frozenset({"input_ids", "attention_mask"})).feed(rows(4, masks=True))


def test_bound_inputs_give_the_same_answers_as_others(tmp_path: Path) -> None:
    bundle = publish_tiny(tmp_path)
    session: Session = Opener(bundle.file(bundle.manifest.variants[0].file), Device(), 0, ("logits",), 32).open(1)
    batches = [
        [Encoded(np.array(ids, np.int64)) for ids in batch] for batch in ([[2, 5, 3]], [[2, 5, 6, 3], [2, 14, 3]] * 80)
    ]
    plain = [session.run(batch) for batch in batches]
    session.bind(Device())
    for _ in range(2):
        for batch, expected in zip(batches, plain, strict=True):
            np.testing.assert_array_equal(session.run(batch), expected)
