"""A bar on a terminal, one final line anywhere else."""

import sys

from rsir.utils.progress import track


def test_one_line_when_it_is_done(capsys, monkeypatch):
    assert list(track(range(3), "counting")) == [0, 1, 2]
    said = capsys.readouterr()
    assert said.out == "counting: done in 0 s\n" and said.err == ""
    assert list(track(range(3), "counting", show=False)) == [0, 1, 2]
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    assert list(track(iter("ab"), "spelling", total=2)) == ["a", "b"]
    said = capsys.readouterr()
    assert "spelling" in said.err and "2/2" in said.err and said.out == ""
