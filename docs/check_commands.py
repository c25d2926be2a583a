"""Proves that every command in README.md and docs/ exists: make targets, Python modules, their options, linked files.

Fenced code blocks of the languages `sh`, `bash` and `console` are read; each line is checked on its own:

- `make TARGET NAME=...`          the Makefile has the target, and uses the variable
- `python -m MODULE [COMMAND] --option`   its `--help` names the option; so after torchrun
- `[text](relative/path#heading)` the file exists, and has that heading

Exits with 1 and a list of what is wrong. Run by `make check`.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FENCE = re.compile(r"^ *```(?:sh|bash|console)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)")
HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)


def documents() -> list[Path]:
    """README and every Markdown page that users read."""
    folders = ("docs", "examples", "protos")
    pages = (page for folder in folders for page in (ROOT / folder).rglob("*.md") if "node_modules" not in page.parts)
    return [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(pages)]


def commands(text: str) -> list[str]:
    """Command lines of the fenced shell blocks, continuations joined, prompts and comments removed."""
    lines: list[str] = []
    for block in FENCE.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            stripped = line.strip().removeprefix("$ ")
            if stripped and not stripped.startswith("#"):
                lines.append(stripped)
    return lines


@cache
def makefile() -> str:
    """The text of the Makefile."""
    return (ROOT / "Makefile").read_text(encoding="utf-8")


@cache
def help_of(*command: str) -> str:
    """What `python -m ... --help` prints; empty when the command does not exist."""
    done = subprocess.run(  # noqa: S603 - the commands stand in our own documents
        [sys.executable, "-m", *command, "--help"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "COLUMNS": "400", "TERM": "dumb", "NO_COLOR": "1"},
        check=False,
    )
    return done.stdout if done.returncode == 0 else ""


def faults_of_make(words: list[str]) -> list[str]:
    """Targets or variables that the Makefile does not know."""
    faults = []
    for word in words:
        name, assigned, _ = word.partition("=")
        if assigned and not re.search(rf"\$[({{]{name}[)}}]", makefile()) and name != "PYTHON":
            faults.append(f"the Makefile does not use {name}")
        if (
            not assigned
            and not word.startswith("-")
            and not re.search(rf"^{re.escape(word)}:", makefile(), re.MULTILINE)
        ):
            faults.append(f"the Makefile has no target {word}")
    return faults


def faults_of_module(words: list[str]) -> list[str]:
    """Modules, commands or options that do not exist."""
    module, *rest = words
    if not ((ROOT / module.replace(".", "/")).is_dir() or (ROOT / f"{module.replace('.', '/')}.py").is_file()):
        return []  # a module of others, such as pip
    command = [module]
    if rest and not rest[0].startswith("-") and help_of(module, rest[0]):
        command.append(rest[0])
    text = help_of(*command)
    if not text:
        return [f"python -m {' '.join(command)} --help fails"]
    options = {word.partition("=")[0] for word in rest if word.startswith("--")}
    return [f"python -m {' '.join(command)} has no option {option}" for option in sorted(options) if option not in text]


def faults_of_command(line: str) -> list[str]:
    """What is wrong with one command line."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError as error:
        return [f"not a shell command: {error}"]
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words = words[1:]
    for stop in ("|", "&&", ">", "&", ";"):
        if stop in words:
            words = words[: words.index(stop)]
    if words[:1] == ["make"]:
        return faults_of_make(words[1:])
    if words[:1] == ["torchrun"] and "-m" in words:
        return faults_of_module(words[words.index("-m") + 1 :])
    if len(words) > 2 and Path(words[0]).name in {"python", "python3"} and words[1] == "-m":
        return faults_of_module(words[2:])
    if len(words) > 1 and Path(words[0]).name in {"python", "python3", "node"} and not (ROOT / words[1]).is_file():
        return [f"{words[1]} does not exist"]
    return []


@cache
def anchors(page: Path) -> set[str]:
    """Names by which links find the headings of a page, as GitHub makes them."""
    headings = HEADING.findall(
        re.sub(r"^ *```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    )
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def faults_of_link(page: Path, link: str, anchor: str) -> list[str]:
    """What is wrong with a link to a file, to a heading of it, or to one of the page itself."""
    target = page.parent / link if link else page
    if not target.exists():
        return [f"{link} does not exist"]
    if anchor and target.suffix == ".md" and anchor not in anchors(target):
        return [f"{link}#{anchor}: there is no such heading"]
    return []


def main() -> None:
    """Checks all documents."""
    faults: list[str] = []
    checked = 0
    for page in documents():
        text = page.read_text(encoding="utf-8")
        name = page.relative_to(ROOT)
        for line in commands(text):
            checked += 1
            faults += [f"{name}: `{line}`: {fault}" for fault in faults_of_command(line)]
        faults += [f"{name}: {fault}" for link in LINK.findall(text) for fault in faults_of_link(page, *link)]
    if faults:
        sys.exit("\n".join(faults))
    print(f"{checked} documented commands and all links are right")


if __name__ == "__main__":
    main()
