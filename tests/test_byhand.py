"""A formula that is not the package's must stop a chapter."""

import numpy as np
import pytest

from rsir.utils.byhand import agrees
from rsir.utils.errors import RsirError


def test_what_agrees_is_said_and_what_does_not_stops(capsys):
    agrees(np.allclose([1.0], [1.0]))
    agrees(True, what="same mask")
    assert capsys.readouterr().out == ("the package agrees: True\nsame mask: True\n")
    with pytest.raises(RsirError, match="same mask: no"):
        agrees(np.bool_(False), what="same mask")
