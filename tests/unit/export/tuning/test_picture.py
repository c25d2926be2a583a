"""The picture can be read: no name covers another, whatever crowds together, and no character is an empty box."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from matplotlib.text import Text

from export.choices import HostChoice
from export.manifest import Manifest
from export.tuning.picture import drawn
from tests.fakes.host_choice import host_choice
from tests.fakes.tiny_variants import Tiny, publish_variants

CROWD = {
    "fp32": 1.0,
    "fp32-plain": 1.02,
    "int8-static": 0.45,
    "int8-static-mixed": 0.455,
    "int8-static-partial": 0.68,
    "int8-dynamic-u8s8": 0.46,
    "int8-dynamic-u8u8": 0.47,
    "weights-8bit": 0.9,
}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return publish_variants(tmp_path_factory.mktemp("registry"), [Tiny(name) for name in CROWD]).manifest


def picture(manifest: Manifest, ratios: dict[str, float], **changed: Any) -> tuple[Any, HostChoice]:
    best = min(ratios, key=lambda name: ratios[name])
    choice = host_choice("x86_64/avx2", best, ratios).model_copy(update=changed)
    figure = drawn(manifest, choice)
    figure.draw_without_rendering()
    return figure, choice


def test_no_name_covers_another_or_leaves_its_panel(manifest: Manifest) -> None:
    figure, _ = picture(manifest, CROWD)
    renderer = figure.canvas.get_renderer()
    for axes in figure.axes:
        boxes = {text.get_text(): Text.get_window_extent(text, renderer) for text in axes.texts}
        assert {name.split()[0] for name in boxes} == set(CROWD)
        frame = axes.get_window_extent(renderer)
        for (one, first), (other, second) in combinations(boxes.items(), 2):
            assert not first.overlaps(second), (one, other)
        for name, box in boxes.items():
            assert frame.x0 <= box.x0, name
            assert box.x1 <= frame.x1, name


def test_fast_is_on_the_right_of_both_panels(manifest: Manifest) -> None:
    figure, _ = picture(manifest, {"fp32": 1.0, "int8-static": 0.5})
    for axes in figure.axes:
        slow, fast = (text.xy[0] for text in sorted(axes.texts, key=lambda text: str(text.get_text())))
        places = axes.transData.transform([(slow, 0.0), (fast, 0.0)])
        assert places[0][0] < places[1][0]


def test_a_single_variant_makes_a_picture_too(manifest: Manifest) -> None:
    figure, _ = picture(manifest, {"fp32": 1.0})
    assert [len(axes.texts) for axes in figure.axes] == [1, 1]


def test_a_chinese_source_is_named_where_a_font_knows_it_and_left_out_elsewhere(
    manifest: Manifest, tmp_path: Path
) -> None:
    lengths = host_choice("x86_64/avx2", "fp32").lengths.model_copy(update={"source": "客服对话.csv"})
    figure, _ = picture(manifest, {"fp32": 1.0}, lengths=lengths)
    figure.savefig(tmp_path / "picture.png")  # a missing character warns, and warnings are errors
    assert "tiny 1 on x86_64/avx2" in figure.get_suptitle()
