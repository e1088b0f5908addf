"""Where things lie on disk, and how they are read and written.

Environment: `RSIR_DATA` names the data root, `RSIR_CACHE` the folder
of everything that rsir makes itself.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rsir.utils.errors import RsirError

StrPath = str | os.PathLike


def cache_dir() -> Path:
    """The folder of files that rsir makes: `RSIR_CACHE`, else the user's cache."""
    if given := os.environ.get("RSIR_CACHE"):
        return Path(given).expanduser()
    import pooch

    return Path(pooch.os_cache("rsir"))


def data_root(root: StrPath | None = None) -> Path:
    """The data root: argument, else `RSIR_DATA`, else in the cache.

    It has `rsicd/`, `ucm/`, ... below it, or is the folder of one data set.
    """
    if root is None:
        root = os.environ.get("RSIR_DATA") or cache_dir() / "data"
    return Path(root).expanduser()


@contextmanager
def _reading(path: StrPath, what: str) -> Iterator[None]:
    try:
        yield
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


def read_bytes(path: StrPath, what: str = "file") -> bytes:
    """The bytes of a file; an RsirError that names it if it cannot be read."""
    with _reading(path, what):
        return Path(path).read_bytes()


def read_text(path: StrPath, what: str = "file") -> str:
    """A UTF-8 text, with or without a byte order mark; as `read_bytes`."""
    data = read_bytes(path, what)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RsirError(
            f"{what} {path} is not UTF-8 text (byte {error.start}); save it as UTF-8"
        ) from None


def read_lines(path: StrPath, what: str = "file") -> list[str]:
    r"""The lines of a UTF-8 text, without their ends.

    `\n` or `\r\n` ends a line and nothing else does: `str.splitlines` would
    also split at U+0085 and U+2028 inside a caption. Empty lines count.
    """
    lines = read_text(path, what).replace("\r\n", "\n").split("\n")
    return lines if lines[-1] else lines[:-1]


def sha256_of(path: StrPath, what: str = "file") -> str:
    """The SHA-256 of a file's bytes, 64 hex digits; as `read_bytes`."""
    with _reading(path, what), open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def atomic_write(path: StrPath, mode: str = "w") -> Iterator:
    """An open file, moved to `path` at the end; on failure what stood there stays."""
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


@contextmanager
def locked(path: StrPath, what: str, wait: float | None = None) -> Iterator[None]:
    """Hold the lock file `path` while the block runs.

    The system frees a lock when its process ends, however it ends.

    Args:
        path: the lock file; its folder is made.
        what: is guarded, for the message: "the index", "the cache".
        wait: seconds to wait for another process; None as long as it takes.
            An RsirError if it holds the lock longer.
    """
    from filelock import FileLock, Timeout

    path = Path(path)
    lock = FileLock(path, timeout=-1 if wait is None else wait)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise RsirError(
            f"{path}: another process is at work on {what}; wait until it is "
            "done, or stop it, then try again"
        ) from None
    except (OSError, NotImplementedError) as error:
        raise RsirError(
            f"{path}: {what} cannot be locked "
            f"({getattr(error, 'strerror', None) or error}); choose a folder "
            "that can be written, on a local disk"
        ) from error
    try:
        yield
    finally:
        lock.release()
