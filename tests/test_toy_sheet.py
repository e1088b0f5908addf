"""The contact sheet shows a picture of each kind."""

import numpy as np

from toyscenes import contact_sheet, kinds, load_toy


def test_contact_sheet_shows_a_picture_of_each_kind(tmp_path):
    splits = load_toy(tmp_path, sizes=(34, 4, 4), workers=1)
    sheet = contact_sheet(splits, columns=6, edge=64, gap=4)
    rows = -(-len(kinds()) // 6)
    assert sheet.width == 6 * 68 + 4 and sheet.height > rows * 68
    array = np.asarray(sheet)
    for k in range(len(kinds())):
        x, y = 4 + (k % 6) * 68, 4 + (k // 6) * (sheet.height - 4) // rows
        assert array[y : y + 64, x : x + 64].std() > 3
