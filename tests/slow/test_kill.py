"""`rsir index build`, killed with SIGKILL again and again."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
from PIL import Image

from rsir.retrieval.index import HOME, Index

BUILD = """
import sys
sys.path[:0] = {path!r}
from test_folder_index import Mean
from rsir.retrieval import index
index.BATCH = 4
slow = Mean.image_features
def image_features(self, images):
    time.sleep(0.1)
    return slow(self, images)
import time
Mean.image_features = image_features
index.build_folder(Mean().eval(), {folder!r})
"""


def test_a_build_killed_at_any_time_comes_to_the_same_index(tmp_path):
    draw = np.random.default_rng(0)
    for name in ("killed", "whole"):
        (tmp_path / name).mkdir()
    for i in range(80):
        picture = Image.fromarray(draw.integers(0, 255, (40, 40, 3), np.uint8))
        for name in ("killed", "whole"):
            picture.save(tmp_path / name / f"{i}.png")
    here = os.path.dirname(__file__)
    path = [os.path.join(here, "..", "retrieval"), os.path.join(here, "..")]

    def start(name):
        folder = str(tmp_path / name)
        code = BUILD.format(path=path, folder=folder)
        return subprocess.Popen([sys.executable, "-c", code])

    assert start("whole").wait() == 0
    home, kills, parts = tmp_path / "killed" / HOME, 0, 0
    while kills < 3:
        process = start("killed")
        while len(list(home.glob("part-*"))) < parts + 2:
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(draw.uniform(0, 0.1))
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills, parts = kills + 1, len(list(home.glob("part-*")))
        assert not (home / "pictures.index").exists()
    assert start("killed").wait() == 0
    found = [tmp_path / name / HOME / "pictures.index" for name in ("killed", "whole")]
    rows = [np.load(path)["rows"] for path in found]
    assert np.array_equal(*rows)
    table = [[row[0] for row in Index.load(path).facts["pictures"]] for path in found]
    assert table[0] == table[1] and len(set(table[0])) == 80
    assert sorted(os.listdir(home)) == ["lock", "pictures.index"]
