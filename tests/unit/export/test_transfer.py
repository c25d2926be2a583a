"""Versions go from registry to registry as they are; what object stores add is tested against a real one, elsewhere."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from export.failures import ConflictingVersion, ExportFailure, MalformedBundle, RegistryNotWritable, UntrustedBundle
from export.registry import Registry
from export.signing import SigningKey, TrustedKeys, generate
from export.storage import MARK
from export.transfer import Transferred, transfer
from tests.fakes.changed_bundle import changed
from tests.fakes.tiny_bundle import publish_tiny


@pytest.fixture
def home(tmp_path: Path) -> Registry:
    """Versions 1 and 2 of news."""
    registry = Registry(str(tmp_path / "home"))
    changed(publish_tiny(tmp_path / "home", "news"), registry, labels=["财经", "体育", "科技"])
    return registry


def test_a_version_keeps_its_number_although_others_are_missing(home: Registry, tmp_path: Path) -> None:
    away = Registry(str(tmp_path / "away"))
    assert transfer("news", 2, home, away) == Transferred(2, already=False)
    assert away.versions("news") == [2]
    assert away.content("news", 2) == home.content("news", 2)
    assert transfer("news", 2, home, away) == Transferred(2, already=True)
    assert transfer("news", 1, home, away) == Transferred(1, already=False)
    assert away.versions("news") == [1, 2]
    # the next one that is made there comes after both
    assert publish_tiny(tmp_path / "away", "news", label=None).manifest.version == 3


def test_files_that_the_manifest_does_not_know_stay_behind(home: Registry, tmp_path: Path) -> None:
    (tmp_path / "home/news/2/notes.txt").write_text("mine")
    transfer("news", 2, home, Registry(str(tmp_path / "away")))
    assert not (tmp_path / "away/news/2/notes.txt").exists()


def test_a_damaged_bundle_is_not_spread(home: Registry, tmp_path: Path) -> None:
    (tmp_path / "home/news/2/tokenizer.json").write_text("{}")
    away = Registry(str(tmp_path / "away"))
    with pytest.raises(MalformedBundle, match=r"tokenizer\.json"):
        transfer("news", 2, home, away)
    assert away.names() == []


def test_a_bundle_that_was_damaged_in_the_store_is_not_taken_from_it(home: Registry, tmp_path: Path) -> None:
    import fsspec

    store = Registry("memory://damaged-in-a-test", cache=tmp_path / "cache")
    transfer("news", 2, home, store)
    fsspec.filesystem("memory").pipe_file(f"{store.path('news', 2)}/tokenizer.json", b"{}")
    away = Registry(str(tmp_path / "away"))
    with pytest.raises(MalformedBundle, match=r"tokenizer\.json"):
        transfer("news", 2, store, away)
    assert away.names() == []


def test_from_store_to_store_the_bytes_are_the_same(home: Registry, tmp_path: Path) -> None:
    one = Registry("memory://first-of-a-test", cache=tmp_path / "one")
    other = Registry("memory://second-of-a-test", cache=tmp_path / "other")
    transfer("news", 2, home, one)
    assert transfer("news", 2, one, other) == Transferred(2, already=False)
    assert other.open("news", 2).manifest == home.open("news", 2).manifest


def test_another_bundle_under_the_number_or_something_without_a_manifest_is_a_conflict(
    home: Registry, tmp_path: Path
) -> None:
    publish_tiny(tmp_path / "away", "news", rotated=1)
    away = Registry(str(tmp_path / "away"))
    with pytest.raises(ConflictingVersion, match="versions never change"):
        transfer("news", 1, home, away)
    (tmp_path / "away/news/2").mkdir()
    (tmp_path / "away/news/2/half").write_text("")
    with pytest.raises(ConflictingVersion, match="something without a manifest"):
        transfer("news", 2, home, away)


def test_only_what_a_trusted_key_signed_is_taken(home: Registry, tmp_path: Path) -> None:
    private, public, _ = generate(tmp_path / "keys")
    trusted, away = TrustedKeys((public,)), Registry(str(tmp_path / "away"))
    with pytest.raises(UntrustedBundle):
        transfer("news", 2, home, away, trusted)
    assert away.names() == []
    home.sign("news", 2, SigningKey.read(private))
    transfer("news", 2, home, away, trusted)
    assert Registry(str(tmp_path / "away"), trusted=trusted).open("news", 2).manifest.version == 2


def test_two_that_copy_the_same_at_once_both_end_well(home: Registry, tmp_path: Path) -> None:
    done: list[Transferred] = []
    threads = [
        threading.Thread(target=lambda: done.append(transfer("news", 2, home, Registry(str(tmp_path / "away")))))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(each.already for each in done) == [False, True, True, True]
    assert {path.name for path in (tmp_path / "away/news").iterdir()} == {"2"}


def test_who_gathers_a_bundle_alone_gathers_it(home: Registry, tmp_path: Path) -> None:
    away = Registry(str(tmp_path / "away"))
    path = away.path("news", 2)
    with (
        away.storage.gathering(path, "a" * 64) as folder,
        pytest.raises(RegistryNotWritable, match="somebody else"),
        away.storage.gathering(path, "a" * 64),
    ):
        pass
    assert folder.name.startswith(MARK)
    # whoever comes afterwards finds what was left
    (folder / "half").write_text("x")
    with away.storage.gathering(path, "a" * 64) as again:
        assert (again / "half").read_text() == "x"
    assert away.versions("news") == []


def test_an_unknown_version_is_said(home: Registry, tmp_path: Path) -> None:
    with pytest.raises(ExportFailure, match="missing"):
        transfer("news", 9, home, Registry(str(tmp_path / "away")))
