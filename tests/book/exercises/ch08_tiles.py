"""ch08-tiles: how many tiles a scene has along a side."""

SETUP = """
from rsir.archive import scenes
"""
STUB = """
def tiles_along(side, tile, overlap):
    step = round(tile * (1 - overlap))
    return ...
"""
CHECK = """
for side_, share in ((3944, 0.25), (3944, 0), (512, 0), (200, 0.5)):
    rows_ = list(scenes.windows(side_, side_, 256, share))
    assert tiles_along(side_, 256, share) == len(rows_)
"""
SOLUTION = """
def tiles_along(side, tile, overlap):
    step = round(tile * (1 - overlap))
    return 1 + max(0, -(-(side - tile) // step))
"""
