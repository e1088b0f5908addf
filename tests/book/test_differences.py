"""The page "paper against code" says what tests and records say."""

import ast
import re

import pytest
from nbkit import ROOT
from pages import differences
from pages.claims import PENDING
from result_samples import record

from rsir.models import config

ENTRIES = differences.load()
IDS = [entry["id"] for entry in ENTRIES]


def test_every_entry_is_whole_and_named_once():
    assert len(ENTRIES) >= 15
    assert len(set(IDS)) == len(IDS)
    for entry in ENTRIES:
        for name in ("system", "part", "paper", "code", "ours"):
            assert entry[name].strip(), entry["id"]
        kinds = set(entry["effect"]) - {"says"}
        assert kinds and kinds <= set(differences.KINDS), entry["id"]


@pytest.mark.parametrize("entry", ENTRIES, ids=IDS)
def test_its_variants_and_its_proof_exist(entry):
    for method, variant in entry["effect"].get("variants", ()):
        assert config(method, "cpu", variant)  # names what is unknown
    if "exact" in entry["effect"]:
        assert entry.get("test"), "algebra needs a test"
    if proof := entry.get("test"):
        path, _, name = proof.partition("::")
        text = (ROOT / path).read_text()
        assert name == "*" or f"def {name}(" in text


@pytest.mark.parametrize("entry", ENTRIES, ids=IDS)
def test_a_keyword_that_it_names_is_one(entry):
    """`name=...` in "ours" is an option of a config or in the code."""
    code = "".join(path.read_text() for path in (ROOT / "rsir").rglob("*.py"))
    for name in re.findall(r"`(\w+)=", entry["ours"]):
        assert re.search(rf"\b{name}\b", code), name


@pytest.mark.parametrize("entry", ENTRIES, ids=IDS)
def test_a_released_bug_that_it_names_is_one(entry):
    named = re.findall(r"`released_bugs=(\(.*?\))`", entry["ours"])
    for bugs in map(ast.literal_eval, named):
        assert config(entry["system"].lower(), released_bugs=bugs)


def entry_of(text: str, name: str) -> str:
    return text.split(f"(difference-{name})=")[1].split("\n(diff")[0]


def test_an_effect_appears_with_its_records(tmp_path):
    before = differences.render(tmp_path)["differences.md"]
    assert PENDING in entry_of(before, "amfmn-loss")
    record(tmp_path, "amfmn", "ucm", "soft-minilm", 3.0)
    record(tmp_path, "amfmn", "ucm", "abl-fixed", 1.0)
    after = differences.render(tmp_path)["differences.md"]
    shown = entry_of(after, "amfmn-loss")
    assert re.search(r"\| UCM-Captions \| \+[\d.]+ \[", shown)
    assert PENDING not in shown and "†" not in after
    assert PENDING in entry_of(after, "amfmn-sim-row")


@pytest.mark.parametrize("stale", [("abl-fixed",), ("soft-minilm", "abl-fixed")])
def test_stale_is_compared_with_stale_alone_and_marked(tmp_path, stale):
    for variant, score in (("soft-minilm", 3.0), ("abl-fixed", 1.0)):
        modules = {"models/losses.py": "of another time"} if variant in stale else {}
        record(tmp_path, "amfmn", "ucm", variant, score, modules=modules)
    made = differences.render(tmp_path)["differences.md"]
    entry = entry_of(made, "amfmn-loss")
    if len(stale) == 2:
        assert re.search(r"\] † \|", entry)
        assert "count as {term}`stale`" in made and "`models/losses.py`" in made
    else:
        assert "†" not in entry and "not measured yet" in entry
