"""Rows that have been computed, one for each picture of a folder.

A build that is killed goes on from here, and one after new pictures
have come reads only those. Each row has a checksum, so a row that is
cut off or damaged is not taken for one.

    journal.json     the model, and what a row is
    rows.bin         codes or vectors, one after the other
    pictures.jsonl   one line a row: file, SHA-256, checksum
"""

import json
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from rsir.data.paths import atomic_write
from rsir.errors import RsirError

FORMAT = 2
NAMES = "pictures.jsonl"


@dataclass(frozen=True)
class Noted:
    """A picture file as the journal knows it.

    Attributes:
        name: path below the folder.
        sha256: of its bytes.
        size: bytes.
        changed: when it was last written, nanoseconds.
    """

    name: str
    sha256: str
    size: int
    changed: int

    @property
    def key(self) -> tuple[str, str]:
        return self.name, self.sha256


class Journal:
    """The rows of one model, whole even after a kill.

    Args:
        home: the folder of the index; see `held`.
        model: fingerprint; rows of another model are dropped.
        like: a row of this model, `[1, width]`.

    Attributes:
        known: number of the row of each (name, SHA-256).
    """

    def __init__(self, home: Path, model: str, like: np.ndarray) -> None:
        self.home, self.model = home, model
        self.rows_path, self.names_path = home / "rows.bin", home / NAMES
        self.facts_path = home / "journal.json"
        self.dtype, self.width = like.dtype, like.shape[1]
        self.bytes = self.dtype.itemsize * self.width
        facts = {"format": FORMAT, "model": model,
                 "dtype": self.dtype.str, "width": self.width}
        if self._facts() != facts:
            for path in (self.facts_path, self.rows_path,
                         self.names_path):
                path.unlink(missing_ok=True)
            with atomic_write(self.facts_path) as file:
                json.dump(facts, file)
        self.known = self._read()

    def _facts(self):
        try:
            return json.loads(self.facts_path.read_bytes())
        except (FileNotFoundError, ValueError):
            return None

    def _read(self) -> dict[tuple[str, str], int]:
        """Whole rows up to the first that is not; the rest is cut off.
        """
        known: dict[tuple[str, str], int] = {}
        rows = self.rows_path.read_bytes() \
            if self.rows_path.exists() else b""
        lines = []
        for line, noted, checksum in _lines(self.names_path):
            at = len(lines) * self.bytes
            row = rows[at:at + self.bytes]
            if len(row) < self.bytes or zlib.crc32(row) != checksum \
                    or noted.key in known:
                break
            known[noted.key] = len(lines)
            lines.append(line)
        with atomic_write(self.names_path, "wb") as file:
            file.write(b"".join(lines))
        whole = len(lines) * self.bytes
        if len(rows) > whole:
            os.truncate(self.rows_path, whole)
        return known

    def append(self, pictures: Sequence[Noted], rows: np.ndarray) -> None:
        """Rows first, then their names: a kill between loses both."""
        each = [np.ascontiguousarray(row).tobytes() for row in rows]
        with open(self.rows_path, "ab") as file:
            file.write(b"".join(each))
            file.flush()
            os.fsync(file.fileno())
        with open(self.names_path, "a", encoding="ascii") as file:
            for picture, row in zip(pictures, each, strict=True):
                self.known[picture.key] = len(self.known)
                file.write(json.dumps(
                    asdict(picture) | {"crc32": zlib.crc32(row)}) + "\n")

    def rows(self, pictures: Sequence[Noted]) -> np.ndarray:
        """The rows of some pictures, in the order asked for."""
        every = np.memmap(self.rows_path, self.dtype, "r")
        every = every.reshape(-1, self.width)
        return np.array(every[[self.known[p.key] for p in pictures]])


def _lines(path: Path) -> Iterator[tuple[bytes, Noted, int]]:
    """Line, picture and checksum, up to the first that is damaged."""
    if not path.exists():
        return
    for line in path.read_bytes().splitlines(keepends=True):
        try:
            known = json.loads(line)
            checksum = known.pop("crc32")
            noted = Noted(**known)
        except (ValueError, TypeError, KeyError, AttributeError):
            return
        if not line.endswith(b"\n"):
            return
        yield line, noted, checksum


def noted(home: Path) -> dict[str, Noted]:
    """The pictures of the journal in a folder, by name; {} if none."""
    return {one.name: one for _, one, _ in _lines(home / NAMES)}


@contextmanager
def held(home: Path) -> Iterator[None]:
    """The folder of an index, for one build at a time.

    Raises:
        RsirError: another build is at work there, or the folder cannot
            be written.
    """
    from filelock import FileLock, Timeout

    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = FileLock(home / "lock", timeout=0)
        with lock:
            yield
    except Timeout:
        raise RsirError(
            f"{home}: another build is at work there; wait for it"
        ) from None
    except OSError as error:
        raise RsirError(
            f"{home}: the index cannot be written there "
            f"({error.strerror or error}); name another place with "
            "--index, or make room"
        ) from error
