"""Where things lie on disk, and how they are written.

Environment: `RSIR_DATA` names the data root, `RSIR_CACHE` the folder
of everything that rsir makes itself.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path

from rsir.utils.errors import RsirError


def cache_dir() -> Path:
    """The folder of files that rsir makes; not created here.

    `RSIR_CACHE` if set, else the user cache of the system.
    """
    given = os.environ.get("RSIR_CACHE")
    if given:
        return Path(given).expanduser()
    import pooch

    return Path(pooch.os_cache("rsir"))


def data_root(root: str | os.PathLike | None = None) -> Path:
    """The data root: argument, else `RSIR_DATA`, else the cache.

    The folder need not exist yet. It is either a folder that has
    `rsicd/`, `ucm/`, ... below it, or the folder of one data set.
    """
    if root is None:
        root = os.environ.get("RSIR_DATA") or cache_dir() / "data"
    return Path(root).expanduser()


def read_bytes(path: Path, what: str = "file") -> bytes:
    """The bytes of a file, or an error that names it.

    Raises:
        RsirError: no such file, a folder, or no permission.
    """
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise RsirError(f"{what} not found: {path}") from None
    except IsADirectoryError:
        raise RsirError(f"{what} is a folder, not a file: {path}") from None
    except PermissionError:
        raise RsirError(
            f"no permission to read the {what} {path}; "
            "change its mode (chmod u+r) or its owner"
        ) from None
    except OSError as error:
        raise RsirError(f"cannot read the {what} {path}: {error}") from error


def read_text(path: Path, what: str = "file") -> str:
    """A UTF-8 text file, or an error that names it."""
    data = read_bytes(path, what)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RsirError(
            f"{what} {path} is not UTF-8 text (byte {error.start}); save it as UTF-8"
        ) from None


def read_lines(path: Path, what: str = "file") -> list[str]:
    """The lines of a UTF-8 text file, with or without BOM.

    CRLF counts as LF; "\\n" alone parts lines (a next-line sign or
    U+2028 does not), and an empty last line is dropped.
    """
    lines = read_text(path, what).replace("\r\n", "\n").split("\n")
    if not lines[-1]:
        lines.pop()
    return lines


@contextmanager
def atomic_write(path: str | os.PathLike, mode: str = "w"):
    """Write a file aside, then move it into place.

    Yields an open file. If the block fails, nothing appears at
    `path` and what stood there stays.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    handle, aside = tempfile.mkstemp(
        prefix=f".{path.name}.", suffix=".tmp", dir=path.parent
    )
    try:
        with os.fdopen(handle, mode, **text) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(aside, 0o666 & ~mask)
        os.replace(aside, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(aside)
        raise
