"""Every page of the documentation is checked: also those in folders, and commands that stand inside a list."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

CHECK = Path(__file__).parents[3] / "docs" / "check_commands.py"


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The checker over a small repository in `tmp_path`."""
    spec = importlib.util.spec_from_file_location("check_commands", CHECK)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    (tmp_path / "docs" / "topics").mkdir(parents=True)
    for name in ("README.md", "CHANGELOG.md", "docs/topics.md"):
        (tmp_path / name).write_text(f"# {name}\n\n## What is there\n", encoding="utf-8")
    (tmp_path / "Makefile").write_text("run:\n\techo $(DATA)\n", encoding="utf-8")
    return module


def write_page(root: Path, text: str) -> None:
    """A page in a folder of the documentation."""
    (root / "docs" / "topics" / "page.md").write_text(text, encoding="utf-8")


def test_a_page_in_a_folder_whose_links_and_commands_are_right_passes(
    check: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_page(tmp_path, "Part of [topics](../topics.md#what-is-there).\n\n```sh\nmake run DATA=my.csv\n```\n")
    check.main()
    assert capsys.readouterr().out.startswith("1 documented commands")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[topics](topics.md)", "docs/topics/page.md: topics.md does not exist"),
        ("[topics](../topics.md#gone)", "docs/topics/page.md: ../topics.md#gone: there is no such heading"),
        ("```sh\nmake gone\n```", "docs/topics/page.md: `make gone`: the Makefile has no target gone"),
        (
            "- a point\n\n  ```sh\n  make gone\n  ```",
            "docs/topics/page.md: `make gone`: the Makefile has no target gone",
        ),
    ],
    ids=["file", "heading", "command", "command in a list"],
)
def test_a_fault_in_a_page_in_a_folder_is_named(check: ModuleType, tmp_path: Path, text: str, fault: str) -> None:
    write_page(tmp_path, text + "\n")
    with pytest.raises(SystemExit) as ended:
        check.main()
    assert ended.value.code == fault


def test_a_comment_in_a_block_inside_a_list_is_no_heading(check: ModuleType, tmp_path: Path) -> None:
    write_page(tmp_path, "# Page\n\n- a point\n\n  ```sh\n# not a heading\n  ```\n")
    assert check.anchors(tmp_path / "docs" / "topics" / "page.md") == {"page"}
