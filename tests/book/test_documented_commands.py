"""Commands in the prose exist, with the options that they are given."""

import importlib.util
import re
import shlex

import typer.main
from nbkit import ROOT

import rsir
from rsir.cli import root

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("book/*.md")]
BLOCK = re.compile(r"^```shell\n(.*?)^```", re.M | re.S)
INLINE = re.compile(r"`((?:rsir|make) [^`\n]+)`")


def commands() -> list[list[str]]:
    """The words of every command line."""
    text = "\n".join(page.read_text() for page in PAGES)
    blocks = "".join(BLOCK.findall(text)).replace("\\\n", " ")
    lines = [*INLINE.findall(text), *blocks.splitlines()]
    return [words for x in lines if (words := shlex.split(x, comments=True))]


def complaint(words: list[str]) -> str | None:
    """What is wrong with the words after `rsir`, or None."""
    command = typer.main.get_command(root)
    while hasattr(command, "commands"):
        name = words.pop(0) if words else ""
        if name not in command.commands:
            return f"no command {name!r}"
        command = command.commands[name]
    known = {opt for p in command.params for opt in (*p.opts, *p.secondary_opts)}
    unknown = (w for w in words if w.startswith("--") and w.split("=")[0] not in known)
    return next((f"no option {word}" for word in unknown), None)


def test_rsir_commands_exist():
    calls = (re.match(r"(.* -m )?rsir (.*)", " ".join(words)) for words in commands())
    said = {call[2]: complaint(call[2].split()) for call in calls if call}
    assert len(said) > 10 and not {x: wrong for x, wrong in said.items() if wrong}
    for line in ("evalute --scores a", "evaluate --score a", "data get"):
        assert complaint(line.split())


def test_make_targets_and_variables_exist():
    text = (ROOT / "Makefile").read_text()
    known = {
        a or f"{b}=" for a, b in re.findall(r"^([a-z]+):|^([A-Z]+) *\?=", text, re.M)
    }
    said = [words[1:] for words in commands() if words[0] == "make"]
    assert len(said) > 10
    assert {re.sub("=.*", "=", word) for words in said for word in words} <= known


def test_files_that_the_prose_names_exist():
    link = re.compile(r"\]\(((?!https?:|#)[^)\s]+)\)")
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        for target in link.findall((ROOT / name).read_text()):
            assert (ROOT / target.split("#")[0]).exists(), target


def test_examples_in_python_name_what_exists():
    block = re.compile(r"^```python\n(.*?)^```", re.M | re.S)
    code = "\n".join(x for page in PAGES for x in block.findall(page.read_text()))
    found = re.findall(r"^from rsir import (.+)$", code, re.M)
    assert found
    for name in ", ".join(found).split(", "):
        assert importlib.util.find_spec(f"rsir.{name}") or hasattr(rsir, name), name
