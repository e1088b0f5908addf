"""ch08-apart: of hits that share much, only the best."""

SETUP = """
import numpy as np

def covered(window, found):
    x, y, w, h = window
    wide = [min(x + w, b[2]) - max(x, b[0]) for b in found]
    tall = [min(y + h, b[3]) - max(y, b[1]) for b in found]
    return np.clip(wide, 0, None) @ np.clip(tall, 0, None) / (w * h)
"""
STUB = """
def apart(windows, most=0.25):
    return list(range(len(windows)))
"""
CHECK = """
row_ = [(x, 0, 100, 100) for x in (0, 20, 90, 300)]
assert apart(row_) == [0, 2, 3]
assert apart(row_[::-1]) == [0, 1, 3]
"""
SOLUTION = """
def apart(windows, most=0.25):
    kept, before = [], []
    for number, window in enumerate(windows):
        if all(covered(window, [box]) <= most for box in before):
            x, y, w, h = window
            before.append((x, y, x + w, y + h))
            kept.append(number)
    return kept
"""
