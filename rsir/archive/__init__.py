"""Search your own archive: scenes to tiles, tiles to vectors, a sentence to places.

Page: book/archive.md.
"""

from rsir.utils.errors import RsirError

try:  # the one place that asks for them; all modules of the room do need them
    import pyarrow  # noqa: F401
    import rasterio  # noqa: F401
    import shapely  # noqa: F401
except ImportError as _error:
    raise RsirError(
        f"an archive needs {_error.name}, which is not installed; "
        "pip install 'rsir[archive]'"
    ) from None
