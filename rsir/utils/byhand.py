"""A formula by hand against the package: the two agree, or we stop.

The chapters write each formula out and hold it to the package's own.
"""

from rsir.utils.errors import RsirError


def agrees(same, *, what: str = "the package agrees") -> None:
    """Print that two ways to a number give the same.

    Args:
        same: whether they do, e.g. what `numpy.allclose` gave.
        what: is printed.

    Raises:
        RsirError: they do not.
    """
    if not bool(same):
        raise RsirError(f"{what}: no; the two ways give two answers")
    print(f"{what}: {bool(same)}")
