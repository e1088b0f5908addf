"""`python -m toyscenes`, and what the package needs."""

from pathlib import Path

import pytest
from alone import alone

import toyscenes
from rsir.data import load_dataset
from toyscenes.__main__ import main


def test_the_package_needs_numpy_and_pillow_only():
    code = (
        "import sys, toyscenes.__main__; print([m for m in sys.modules if m.split('.')"
        "[0] in ('rsir', 'torch', 'pooch', 'scipy', 'pandas', 'filelock', 'tqdm')])"
    )
    assert alone("-c", code).strip() == "[]"
    files = Path(toyscenes.__file__).parent.rglob("*.py")
    assert all(path.with_name("__init__.py").exists() for path in files)


def test_a_folder_that_the_readers_of_data_sets_take(tmp_path, capsys):
    out = tmp_path / "scenes"
    knobs = "--sizes 4,2,2 --duplicates 0.5 --size 64 --workers 1".split()
    assert main([str(out), *knobs]) == 0
    assert capsys.readouterr().out.startswith("toy scenes: 8 pictures drawn in")
    assert sorted(p.name for p in out.iterdir()) == ["dataset_toy.json", "images"]
    splits = load_dataset(out)
    assert [s.n_images for s in splits] == [4, 2, 2]
    assert (splits.train.counts() == 5).all() and splits.train.keywords
    assert main([str(out), *knobs]) == 0
    assert capsys.readouterr().out == ""
    assert main([str(out), *knobs, "--seed", "1"]) == 0  # replaces its own
    assert load_dataset(out).train.captions != splits.train.captions


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["OUT", "--sizes", "9,x"], "--sizes: '9,x' is not three whole numbers; give"),
        (["OUT", "--sizes", "9,9"], "sizes is (9, 9); give three whole numbers"),
        (["OUT", "--duplicates", "2"], "duplicates is 2.0; give a share"),
        (["OUT"], "holds other files (notes.txt); name a new folder"),
        ([], "OUT"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(tmp_path, capsys, arguments, words):
    (tmp_path / "notes.txt").write_text("mine")
    try:
        code = main([str(tmp_path) if a == "OUT" else a for a in arguments])
    except SystemExit as stop:
        code = stop.code
    out, err = capsys.readouterr()
    assert code == 2 and out == "" and err.count("\n") == 1 and words in err
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]
