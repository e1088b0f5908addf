"""Two data sets of ten pictures, in the layouts of the authors."""

import pytest
from small_data import NAMES, karpathy, picture, sentences, write


@pytest.fixture
def rsicd(tmp_path):
    """A data root with rsicd/ in the authors' layout."""
    folder = tmp_path / "rsicd"
    for i, n in enumerate(NAMES):
        picture(folder / "RSICD_images" / f"{n}.jpg", i)
    write(folder, karpathy())
    return folder


@pytest.fixture
def precomp(tmp_path):
    """A folder of text files in the released layout, images beside."""
    folder = tmp_path / "rsitmd_precomp"
    for i, n in enumerate(NAMES):
        picture(tmp_path / "images" / f"{n}.tif", i)
    folder.mkdir()
    for part, names, times in (("train", NAMES[:8], 1), ("test", NAMES[8:], 5)):
        lines = "".join(f"{n}.tif\n" * times for n in names)
        (folder / f"{part}_filename.txt").write_text(lines)
        lines = "".join(s + "\n" for n in names for s in sentences(n))
        (folder / f"{part}_caps.txt").write_text(lines)
    return folder
