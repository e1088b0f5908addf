"""`make prose` names file and line, and never fails."""

import json

import prose

WORDS = {"anew": "again"}
PAGE = """\
# A page

`anew` is code, and $anew$ a formula.
We count
it anew.
"""


def test_a_word_is_found_in_prose_alone_with_its_line(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    assert list(prose.advice(page, WORDS, [])) == [(5, "anew -> again")]


def test_lines_of_a_notebook_are_those_of_its_file(tmp_path):
    cells = [
        {"cell_type": kind, "id": name, "metadata": {}, "source": source}
        for kind, name, source in (
            ("markdown", "a", ["# A chapter\n", "with an mR"]),
            ("code", "b", ["x = 'anew'"]),
            ("markdown", "c", ["One.\n", "Two, anew, of {term}`i2t`."]),
        )
    ]
    path = tmp_path / "chapter.ipynb"
    path.write_text(json.dumps({"cells": cells}, indent=1))
    found = list(prose.advice(path, WORDS, ["mR", "i2t"]))
    lines = path.read_text().splitlines()
    assert [text for _, text in found] == [
        "anew -> again",
        "mR: never linked to the glossary",
    ]
    assert "Two, anew" in lines[found[0][0] - 1]
    assert "with an mR" in lines[found[1][0] - 1]


def test_long_sentences_and_words_of_a_page_maker_are_found(tmp_path):
    maker = tmp_path / "page.py"
    maker.write_text(f'anew = 1\ntext = (\n    "{"word " * 40}."\n    " So anew."\n)\n')
    found = [text for _, text in prose.advice(maker, WORDS, [])]
    assert found == ["anew -> again", "a sentence of 40 words"]


def test_advice_on_the_whole_book_is_printed(capsys):
    prose.main([])
    lines = capsys.readouterr().out.splitlines()
    assert all(line.count(": ") for line in lines)
