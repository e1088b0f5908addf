"""Commands in the prose exist, with the options that they are given."""

import importlib.util
import re
import shlex

import typer.main
from nbkit import ROOT

import rsir
from rsir.cli import app

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("book/*.md")]
BLOCK = re.compile(r"^```shell\n(.*?)^```", re.M | re.S)
INLINE = re.compile(r"`((?:rsir|make) [^`\n]+)`")


def commands() -> list[tuple[str, list[str]]]:
    """(page, words) of every command line."""
    found = []
    for page in PAGES:
        text = page.read_text()
        lines = INLINE.findall(text)
        for block in BLOCK.findall(text):
            lines += block.replace("\\\n", " ").splitlines()
        split = (shlex.split(line, comments=True) for line in lines)
        found += [(page.name, words) for words in split if words]
    return found


def rsir_words(words: list[str]) -> list[str] | None:
    """What follows `rsir` in a command line, if it calls rsir."""
    if words[:1] == ["rsir"]:
        return words[1:]
    at = next(
        (i for i in range(len(words)) if words[i : i + 2] == ["-m", "rsir"]), None
    )
    return None if at is None else words[at + 2 :]


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
    unknown = (w for w in words if w.startswith("--") and w.split("=")[0] not in known)
    return next((f"no option {word}" for word in unknown), None)


def test_rsir_commands_exist():
    said = {
        (page, " ".join(words)): complaint(rest)
        for page, words in commands()
        if (rest := rsir_words(words)) is not None
    }
    assert said and not {words: wrong for words, wrong in said.items() if wrong}
    for line in ("evalute --scores a", "evaluate --score a", "data get"):
        assert complaint(line.split())


def test_make_targets_and_variables_exist():
    text = (ROOT / "Makefile").read_text()
    known = set(re.findall(r"^([a-z]+):|^([A-Z]+) *\?=", text, re.M))
    known = {target or f"{variable}=" for target, variable in known}
    said = [words[1:] for _, words in commands() if words[0] == "make"]
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
