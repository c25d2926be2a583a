"""From a bundle to what serves: the variant by device, the numbers by measurement, record or setting."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.bundle import Bundle
from export.failures import MalformedBundle
from export.golden import Golden
from export.manifest import Manifest
from services.inference.execution.computation import Computation
from services.inference.execution.devices import CPU, CUDA, Device
from services.inference.execution.layout import Layout, SessionSet
from services.inference.execution.session import DeviceUnavailable, Opener, OpenRaw
from services.inference.execution.variant_choice import Execution, prepare
from services.inference.execution.variant_ranking import suited
from services.inference.execution.warm_up import lengths, warm_up
from services.inference.metrics import Metrics
from services.inference.prediction import Encoded
from services.inference.settings import InferenceSettings
from tests.fakes.sessions import FakeRuntime
from tests.fakes.tiny_bundle import publish_tiny


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return publish_tiny(tmp_path_factory.mktemp("registry"))


def prepared(bundle: Bundle, state: Path, open_raw: OpenRaw | None = None, **given: Any) -> Execution:
    settings = InferenceSettings(state_dir=state, threads=2, **given)
    golden = Golden.read(bundle.file(bundle.manifest.golden))
    return prepare(bundle, golden, settings, Metrics(), open_raw)


def test_the_second_load_uses_what_the_first_one_measured(bundle: Bundle, tmp_path: Path) -> None:
    first, second = prepared(bundle, tmp_path), prepared(bundle, tmp_path)
    assert (first.source, second.source) == ("measured", "recorded")
    assert second.limits == first.limits


def test_a_version_with_other_weights_is_not_measured_again_and_one_of_another_shape_is(tmp_path: Path) -> None:
    registry, state = tmp_path / "registry", tmp_path / "state"
    first = publish_tiny(registry)
    variant = first.manifest.variants[0]
    changed = variant.model_copy(update={"file": variant.file.model_copy(update={"sha256": "0" * 64})})
    retrained = replace(first, manifest=first.manifest.model_copy(update={"variants": [changed]}))
    assert prepared(first, state).source == "measured"
    assert prepared(retrained, state).source == "recorded"
    assert prepared(publish_tiny(registry, max_length=48), state).source == "measured"


def test_the_choice_stands_among_the_metrics(bundle: Bundle, tmp_path: Path) -> None:
    metrics = Metrics()
    settings = InferenceSettings(state_dir=tmp_path, threads=2, max_batch_texts=3)
    prepare(bundle, Golden.read(bundle.file(bundle.manifest.golden)), settings, metrics)
    labels = {"model": "tiny", "version": "1", "setting": "batch_texts"}
    assert metrics.registry.get_sample_value("bertline_inference_execution", labels) == 3.0


def test_a_spoiled_record_is_measured_anew(bundle: Bundle, tmp_path: Path) -> None:
    prepared(bundle, tmp_path)
    for path in (tmp_path / "calibration").iterdir():
        path.write_text("{", encoding="utf-8")
    assert prepared(bundle, tmp_path).source == "measured"
    assert prepared(bundle, tmp_path).source == "recorded"


def test_a_folder_that_cannot_be_written_is_no_reason_not_to_serve(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("", encoding="utf-8")
    assert prepared(bundle, tmp_path / "state").source == "measured"


def test_a_setting_wins_over_what_was_measured(bundle: Bundle, tmp_path: Path) -> None:
    given = {"max_batch_tokens": 96, "max_batch_texts": 3, "threads_per_run": 2, "wide_from_tokens": 5}
    for _ in range(2):
        limits = prepared(bundle, tmp_path, **given).limits
        assert (limits.batch_tokens, limits.batch_texts, limits.cores) == (96, 3, 2)
        assert limits.wide_from_tokens is None  # every run takes all threads already
    assert prepared(bundle, tmp_path, wide_from_tokens=5, threads_per_run=1).limits.wide_from_tokens == 5
    assert prepared(bundle, tmp_path, wide_from_tokens=0, threads_per_run=1).limits.wide_from_tokens is None


def test_without_calibration_nothing_is_measured_and_nothing_written(bundle: Bundle, tmp_path: Path) -> None:
    execution = prepared(bundle, tmp_path, calibration="off")
    assert execution.source == "constant"
    assert (execution.limits.batch_texts, execution.limits.batch_tokens) == (8, 512)
    assert list(tmp_path.iterdir()) == []


def test_cuda_that_is_not_there_is_an_error_not_another_variant(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(DeviceUnavailable):
        prepared(bundle, tmp_path, FakeRuntime((CPU,)), device="cuda")


def test_a_device_whose_answers_are_wrong_does_not_serve(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(MalformedBundle, match="no variant works on this host"):
        prepared(bundle, tmp_path, FakeRuntime((CUDA, CPU)), device="cuda")


def manifest_with(bundle: Bundle, *devices: str) -> Manifest:
    first = bundle.manifest.variants[0]
    variants = [first.model_copy(update={"name": f"v{n}", "device": device}) for n, device in enumerate(devices)]
    return bundle.manifest.model_copy(update={"variants": variants})


def test_a_gpu_takes_its_own_variant_before_one_for_any_device(bundle: Bundle) -> None:
    manifest = manifest_with(bundle, "cpu", "any", "cuda", "tensorrt")
    assert [variant.device for variant in suited(manifest, Device("cuda"))] == ["cuda", "any"]
    assert [variant.device for variant in suited(manifest, Device("tensorrt"))] == ["tensorrt", "any"]


def test_a_cpu_takes_variants_in_the_order_of_the_export(bundle: Bundle) -> None:
    assert [v.name for v in suited(manifest_with(bundle, "any", "cuda", "cpu"), Device())] == ["v0", "v2"]


def layout_of(threads: int, wide: bool = False) -> Layout:
    sessions = SessionSet(Opener(Path("model.onnx"), Device(), 0, ("logits",), 128, FakeRuntime()), cores=4, workers=4)
    return sessions.settle(threads, wide, bound=False)


def test_sessions_of_several_threads_are_taken_in_turns(bundle: Bundle) -> None:
    layout = layout_of(2)
    computation = Computation(layout, bundle.manifest, bundle.manifest.variants[0])
    for _ in range(4):
        computation([Encoded(np.array([1, 2], np.int64))], False)
    assert [len(session.raw.feeds) for session in layout.narrow] == [2, 2]  # type: ignore[attr-defined]


def test_a_wide_batch_runs_on_the_wide_session(bundle: Bundle) -> None:
    layout = layout_of(1, wide=True)
    assert layout.wide is not None
    Computation(layout, bundle.manifest, bundle.manifest.variants[0])([Encoded(np.array([1], np.int64))], True)
    assert len(layout.wide.raw.feeds) == 1  # type: ignore[attr-defined]


def test_warm_up_runs_lone_texts_and_full_batches_of_every_length() -> None:
    layout = layout_of(1, wide=True)
    assert warm_up(layout, 80, (8, 256), seconds=60.0) == 15
    shapes = [feed["input_ids"].shape for feed in layout.narrow[0].raw.feeds]  # type: ignore[attr-defined]
    assert shapes == [(1, 8), (8, 8), (1, 16), (8, 16), (1, 32), (8, 32), (1, 64), (4, 64), (1, 80), (3, 80)]
    assert lengths(8) == [8]
    assert lengths(128) == [8, 16, 32, 64, 128]


def test_warm_up_ends_when_its_time_is_up() -> None:
    ticks = iter(range(1000))
    assert warm_up(layout_of(1), 512, (8, 256), seconds=3.0, clock=lambda: float(next(ticks))) == 2
