"""Commands in the prose exist, with the options that they are given."""

import importlib.util
import re
import shlex

import pytest
import typer.main
from nbkit import ROOT

from rsir.cli import app

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "book").glob("*.md")),
]
BLOCK = re.compile(r"^```shell\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`((?:rsir|make) [^`\n]+)`")


def commands() -> list[tuple[str, list[str]]]:
    """(page, words) of every command line in a shell block."""
    found = []
    for page in PAGES:
        text = page.read_text()
        lines = INLINE.findall(text)
        for block in BLOCK.findall(text):
            lines += block.replace("\\\n", " ").splitlines()
        for line in lines:
            words = shlex.split(line, comments=True)
            if words:
                found.append((page.name, words))
    return found


def rsir_words(words: list[str]) -> list[str] | None:
    """What follows `rsir` in a command line, if it calls rsir."""
    if words[0] == "rsir":
        return words[1:]
    if "-m" in words and words[words.index("-m") + 1] == "rsir":
        return words[words.index("-m") + 2 :]
    return None


def complaint(words: list[str]) -> str | None:
    """What is wrong with the words after `rsir`, or None."""
    command = typer.main.get_command(app)
    words = list(words)
    while hasattr(command, "commands"):
        name = words.pop(0) if words else ""
        if name not in command.commands:
            return f"no command {name!r}"
        command = command.commands[name]
    known = {opt for p in command.params for opt in (*p.opts, *p.secondary_opts)}
    for word in words:
        if word.startswith("--") and word.split("=")[0] not in known:
            return f"no option {word}"
    return None


def test_rsir_commands_exist():
    wrong = {
        (page, " ".join(words)): said
        for page, words in commands()
        if (rest := rsir_words(words)) is not None and (said := complaint(rest))
    }
    assert not wrong


@pytest.mark.parametrize(
    "line", ["evalute --scores a", "evaluate --score a", "data get"]
)
def test_a_wrong_command_would_be_found(line):
    assert complaint(line.split())


def test_make_targets_and_variables_exist():
    text = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", text, re.MULTILINE))
    names = set(re.findall(r"^([A-Z]+) *\?=", text, re.MULTILINE))
    seen = 0
    for page, words in commands():
        if words[0] != "make":
            continue
        seen += 1
        for word in words[1:]:
            name = word.split("=")[0]
            assert name in (names if "=" in word else targets), (
                f"{page}: {' '.join(words)}"
            )
    assert seen > 10


def test_files_that_the_prose_names_exist():
    link = re.compile(r"\]\(((?!https?:|#)[^)\s]+)\)")
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        for target in link.findall((ROOT / name).read_text()):
            assert (ROOT / target.split("#")[0]).exists(), target


def test_examples_in_python_name_what_exists():
    import rsir

    block = re.compile(r"^```python\n(.*?)^```", re.M | re.DOTALL)
    names = re.compile(r"^from rsir import (.+)$", re.M)
    found = [
        name.strip()
        for page in PAGES
        for code in block.findall(page.read_text())
        for line in names.findall(code)
        for name in line.split(",")
    ]
    assert found
    for name in found:
        module = importlib.util.find_spec(f"rsir.{name}")
        assert module or hasattr(rsir, name), name
