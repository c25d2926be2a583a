"""Who answers for a model beside its labels, and how two writers share the registry's files."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.failures import MalformedBundle, NoFormerVersion, RegistryNotWritable, UnknownModel
from export.records import LOCK
from export.registry import Registry
from export.serving import SLOTS, Serving, Target
from tests.fakes.tiny_bundle import publish_tiny

ROOT = Path(__file__).resolve().parents[3]
TARGETS = [Target(label="canary"), Target(version=2), Target(version=3)]

percents = st.lists(st.integers(1, 33), min_size=3, max_size=3)


def split_of(serving: Serving) -> dict[Target, set[int]]:
    return {share.target: set(share.slots) for share in serving.split}


@given(percents)
def test_shares_have_as_many_slots_as_percent_and_no_slot_twice(sizes: list[int]) -> None:
    split = Serving().with_split(list(zip(TARGETS, sizes, strict=True))).split
    assert [share.percent for share in split] == sizes
    assert len({slot for share in split for slot in share.slots}) == sum(sizes)


@given(percents, st.integers(0, 2), st.integers(0, 33))
def test_a_share_that_grows_takes_free_slots_and_moves_nobody_else(sizes: list[int], grown: int, by: int) -> None:
    before = Serving().with_split(list(zip(TARGETS, sizes, strict=True)))
    more = [size + by if place == grown else size for place, size in enumerate(sizes)]
    if sum(more) > SLOTS:
        return
    after = split_of(before.with_split(list(zip(TARGETS, more, strict=True))))
    for target, slots in split_of(before).items():
        assert slots <= after[target]
        assert target == TARGETS[grown] or slots == after[target]


@given(percents, percents)
def test_a_share_that_shrinks_keeps_only_slots_that_it_had(sizes: list[int], other: list[int]) -> None:
    before = Serving().with_split(list(zip(TARGETS, sizes, strict=True)))
    after = split_of(before.with_split(list(zip(TARGETS, other, strict=True))))
    for target, slots in split_of(before).items():
        assert after[target] <= slots or slots <= after[target]


def test_shares_over_a_hundred_percent_or_twice_the_same_target_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 100 percent"):
        Serving().with_split([(TARGETS[0], 60), (TARGETS[1], 41)])
    with pytest.raises(ValueError, match="one share"):
        Serving().with_split([(TARGETS[0], 10), (TARGETS[0], 10)])
    with pytest.raises(ValueError, match="a version or a label"):
        Target()


def test_pins_split_and_shadow_are_kept_in_a_file_beside_the_bundles(tmp_path: Path) -> None:
    registry = Registry(str(tmp_path))
    publish_tiny(tmp_path, "news")
    publish_tiny(tmp_path, "news", label="canary")
    registry.pin("news", 2)
    registry.set_split("news", [(Target(label="canary"), 5)])
    registry.set_shadow("news", Target(version=2), 50)
    serving = Registry(str(tmp_path)).serving("news")
    assert serving.pinned == [2]
    assert [(str(share.target), share.percent) for share in serving.split] == [("label 'canary'", 5)]
    assert serving.shadow is not None
    registry.set_shadow("news", Target(version=2), 50)
    assert registry.serving("news").shadow != serving.shadow  # set anew: the counters start anew
    registry.unpin("news", 2)
    registry.set_split("news", [])
    registry.set_shadow("news", None, 0)
    assert registry.serving("news") == Serving()


def test_targets_that_the_registry_has_not_are_refused(tmp_path: Path) -> None:
    registry = Registry(str(tmp_path))
    publish_tiny(tmp_path, "news")
    with pytest.raises(UnknownModel, match="no version 7"):
        registry.pin("news", 7)
    with pytest.raises(UnknownModel, match="no label 'canary'"):
        registry.set_split("news", [(Target(label="canary"), 5)])
    with pytest.raises(UnknownModel, match="no model 'other'"):
        registry.set_shadow("other", None, 0)
    with pytest.raises(NoFormerVersion):
        registry.former("news", "stable")


@pytest.mark.parametrize(
    "text", ["{", '{"pinned": "x"}', '{"surprise": 1}', '{"split": [{"target": {}, "slots": [1]}]}']
)
def test_a_malformed_serving_file_is_named(tmp_path: Path, text: str) -> None:
    publish_tiny(tmp_path, "news")
    (tmp_path / "news" / "serving.json").write_text(text, encoding="utf-8")
    with pytest.raises(MalformedBundle, match=r"serving\.json"):
        Registry(str(tmp_path)).serving("news")


def test_writers_at_once_lose_no_change(tmp_path: Path) -> None:
    publish_tiny(tmp_path, "news")

    def write(number: int) -> None:
        for turn in range(10):
            Registry(str(tmp_path)).set_label("news", f"label-{number}-{turn}", 1)
            Registry(str(tmp_path)).set_shadow("news", Target(version=1), number + 1)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    program = f"""
from export.registry import Registry
for turn in range(10):
    Registry({str(tmp_path)!r}).set_label("news", f"other-{{turn}}", 1)
    Registry({str(tmp_path)!r}).pin("news", 1)
"""
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT) as process:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert process.wait(60) == 0
    registry = Registry(str(tmp_path))
    assert len(registry.labels("news")) == 1 + 4 * 10 + 10
    assert len(registry.history("news")) == 1 + 4 * 10 + 10
    assert registry.serving("news").pinned == [1]
    assert not [path for path in (tmp_path / "news").iterdir() if path.name.startswith(".") and path.name != LOCK]


def test_a_registry_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    publish_tiny(tmp_path, "news", label=None)
    (tmp_path / "news" / LOCK).mkdir()  # also root, who may write everywhere, cannot write a folder
    with pytest.raises(RegistryNotWritable, match=r"labels\.json cannot be written"):
        Registry(str(tmp_path)).set_label("news", "stable", 1)
