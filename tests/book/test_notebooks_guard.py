"""The notebooks are what they seem, and the rules that say so can fail.

The rules live in `tools/nbkit/guard.py`. First each rule meets a sample
that breaks it and must complain; then all rules meet all notebooks.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml
from nbkit import ROOT, captions, chapters, execute, guard
from notebook_samples import BAD, NAME, by_tag, good, plain, status_of


def complaints(nb, status=None) -> dict[str, list[str]]:
    """{rule: what it said} for the rules that complain."""
    status = status_of(nb) if status is None else status
    case = guard.Case(nb, NAME, status)
    found = {name: list(rule(case)) for name, rule in guard.RULES.items()}
    return {name: said for name, said in found.items() if said}


def test_a_good_notebook_has_no_complaint():
    assert complaints(good()) == {}


@pytest.mark.parametrize(("rule", "damage"), BAD)
def test_each_rule_complains(rule, damage):
    nb = good()
    damage(nb)
    assert rule in complaints(nb)


def test_every_rule_has_a_bad_sample():
    assert {rule for rule, _ in BAD} | {"fresh"} == set(guard.RULES)


def test_code_changed_after_execution_is_found():
    nb = good()
    status = status_of(nb)
    plain(nb).source += "  # changed"
    assert set(complaints(nb, status)) == {"fresh"}


def test_outputs_from_real_data_are_found():
    nb = good()
    status = status_of(nb)
    status[Path(NAME).stem]["dataset"] = "ucm"
    assert set(complaints(nb, status)) == {"fresh"}
    assert set(complaints(nb, {})) == {"fresh"}


def test_only_method_chapters_need_both_verdicts():
    nb = good()
    by_tag(nb, "verdict-live").metadata["tags"] = []
    early = guard.Case(nb, "01_data.ipynb", {})
    assert list(guard.verdicts(early)) == []
    by_tag(nb, "nbval-check-output").metadata["tags"] = []
    assert list(guard.verdicts(early)) != []


def test_every_chapter_keeps_every_rule():
    status = execute.load_status()
    found = [c for path in chapters() for c in guard.check(path, status)]
    assert not found, "\n".join(found)


def test_every_chapter_is_in_the_book():
    toc = (ROOT / "_toc.yml").read_text()
    for path in chapters():
        assert f"notebooks/{path.stem}" in toc


def test_every_page_of_the_contents_exists():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    files = [toc["root"]] + [
        chapter["file"] for part in toc["parts"] for chapter in part["chapters"]
    ]
    for name in files:
        found = [
            ending
            for ending in (".md", ".ipynb")
            if (ROOT / f"{name}{ending}").exists()
        ]
        assert len(found) == 1, name


# --- captions of real data sets -----------------------------------------


def karpathy(folder: Path, *sentences: str) -> Path:
    folder.mkdir()
    document = {"images": [{"sentences": [{"raw": s} for s in sentences]}]}
    (folder / "dataset.json").write_text(json.dumps(document))
    return folder


def published() -> dict[str, str]:
    """{file: text} of what the project gives to the world."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    ).stdout.split("\0")  # fmt: skip
    found = {}
    for name in listed:
        path = ROOT / name
        if name.endswith(".ipynb"):
            nb = execute.read(path)
            parts = [c.source for c in nb.cells]
            for cell in nb.cells:
                parts += map(guard.text_of, cell.get("outputs", ()))
            found[name] = "\n".join(parts)
        elif path.suffix in {".py", ".md", ".csv", ".yml", ".json"}:
            found[name] = path.read_text(encoding="utf-8")
    return found


def test_a_real_caption_is_found(tmp_path):
    sentence = "A made up scene has seven words and more."
    known = captions.load(
        karpathy(tmp_path / "a", sentence, "Too short a one.")
    ) | captions.load(tmp_path)
    text = "We print: a made-up\nscene has seven words and more! So."
    assert list(captions.hits(text, known))
    assert not list(captions.hits(text.replace("seven", "six"), known))
    assert not list(captions.hits("too short a one", known))


def test_no_caption_of_a_data_set_is_published():
    root = os.environ.get("RSIR_DATA")
    known = captions.load(Path(root)) if root else {}
    if not known:
        pytest.skip("RSIR_DATA names no folder with real captions")
    guilty = {
        name: found
        for name, text in published().items()
        if (found := list(captions.hits(text, known)))
    }
    assert not guilty
