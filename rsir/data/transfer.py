"""Bring one file over HTTP: resumed, whole, and with a known sum.

A file is first `<name>.part`. It gets its name only when the length
is what the server said, the form is that of its suffix (a zip opens,
a parquet file ends as it should), and the checksum is the known one.
Where nobody has published a checksum, the first download records it
in `checksums.json` of the data root, and every later one must agree.
"""

from __future__ import annotations

import json
import logging
import os
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from rsir.data.paths import atomic_write, read_text
from rsir.errors import RsirError

LEDGER = "checksums.json"
RAR = b"Rar!\x1a\x07"
_CHUNK = 1 << 16


class Ledger:
    """The checksums of a data root, by key.

    They are noted as files arrive, and recorded when a whole data
    set has been unpacked: a bad archive must not become the measure.

    Raises:
        RsirError: `checksums.json` is damaged; it is never rewritten
            then, since it is the only record of the first download.
    """

    def __init__(self, root: Path):
        self.path = Path(root) / LEDGER
        self._noted: dict[str, dict] = {}

    def read(self) -> dict:
        if not self.path.exists():
            return {}
        try:
            data = json.loads(read_text(self.path, "checksum record"))
        except json.JSONDecodeError:
            data = None
        if not isinstance(data, dict):
            raise RsirError(
                f"{self.path} is not readable as JSON; repair it, or "
                "delete it to trust the next download anew"
            )
        return data

    def get(self, key: str) -> dict:
        return self.read().get(key, {})

    def note(self, key: str, **facts) -> None:
        """Remember facts for a key until `record` writes them."""
        self._noted[key] = facts

    def record(self) -> None:
        """Write what was noted; what stands there already stays."""
        data = self.read()
        today = datetime.now(UTC).date().isoformat()
        for key, facts in self._noted.items():
            data[key] = {"first": today, **facts, **data.get(key, {})}
        self._noted.clear()
        with atomic_write(self.path) as file:
            json.dump(data, file, indent=1, sort_keys=True)
            file.write("\n")


@contextmanager
def progress_bar(label: str, show: bool):
    """A bar on stdout. Yields update(done, total) in bytes."""
    if not show:
        yield lambda done, total: None
        return
    import sys

    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    with Progress(
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(),
        TransferSpeedColumn(), TimeRemainingColumn(),
        console=Console(file=sys.stdout),
    ) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(
            task, completed=done, total=total
        )


class Resumable:
    """A downloader for `pooch.retrieve` that keeps what it has.

    Args:
        part: the partial file; `<part>.json` beside it tells which
            version of the remote file it belongs to.
        show: draw a progress bar on stdout.
        tries: attempts in a row that may bring nothing new.
        wait: seconds before the second attempt, doubled for each.
        timeout: seconds without a byte that end an attempt.
    """

    def __init__(
        self, part: Path, *, show: bool = False, tries: int = 4,
        wait: float = 1.0, timeout: float = 30.0,
    ):
        self.part = Path(part)
        self.about = self.part.with_name(self.part.name + ".json")
        self.show, self.tries = show, tries
        self.wait, self.timeout = wait, timeout

    def __call__(self, url, output_file, pooch=None):
        import requests

        self.part.parent.mkdir(parents=True, exist_ok=True)
        name = self.part.name.removesuffix(".part")
        idle, best, why = 0, self._size(), ""
        with requests.Session() as session, progress_bar(
            name, self.show
        ) as update:
            while True:
                try:
                    if self._attempt(session, url, update):
                        break
                    why = (f"the server sent {self._size():,} of "
                           f"{self._about().get('total', 0):,} bytes")
                except requests.exceptions.RequestException as error:
                    why = _short(error)
                except OSError as error:
                    raise RsirError(
                        f"cannot write {self.part}: {error.strerror}; "
                        "make room or change the permissions, then "
                        "run the same command again"
                    ) from None
                idle = 0 if self._size() > best else idle + 1
                best = max(best, self._size())
                if idle >= self.tries:
                    raise RsirError(
                        f"{url} broke off ({why}); "
                        f"{self._size():,} bytes are kept in "
                        f"{self.part}; run the same command again to "
                        "go on from there"
                    )
                time.sleep(self.wait * 2 ** max(0, idle - 1))
        problem = damage(self.part, name)
        if problem:
            self.forget()
            raise RsirError(
                f"{url} did not bring a whole {name}: {problem}; the "
                "file was thrown away; try again or use another source"
            )
        os.replace(self.part, output_file)
        self.about.unlink(missing_ok=True)

    def forget(self) -> None:
        """Throw the partial file away."""
        self.part.unlink(missing_ok=True)
        self.about.unlink(missing_ok=True)

    def _size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _about(self) -> dict:
        try:
            data = json.loads(self.about.read_text())
            return data if isinstance(data, dict) else {}
        except (OSError, json.JSONDecodeError):
            return {}

    def _attempt(self, session, url, update) -> bool:
        """One request. True when the file is as long as announced."""
        about, have = self._about(), self._size()
        if have and (about.get("url") != url or not about.get("tag")):
            have = 0                # of another file, or not to prove
        head = {"Accept-Encoding": "identity"}
        if have:
            head |= {"Range": f"bytes={have}-", "If-Range": about["tag"]}
        with session.get(
            url, headers=head, stream=True, timeout=self.timeout
        ) as answer:
            if answer.status_code == 416:       # nothing behind `have`
                if have == about.get("total"):
                    return True
                self.forget()
                return False
            if answer.status_code >= 500 or answer.status_code == 429:
                answer.raise_for_status()
            if answer.status_code not in (200, 206):
                raise RsirError(
                    f"{url} answers {answer.status_code} "
                    f"{answer.reason}; the address may have moved, "
                    "use another source"
                )
            start, total = _span(answer)
            if answer.status_code == 206 and (
                start != have or total != about.get("total")
            ):
                self.forget()       # not the piece that was asked for
                return False
            start = start if answer.status_code == 206 else 0
            tag = _tag(answer)
            with atomic_write(self.about) as file:
                json.dump({"url": url, "tag": tag, "total": total}, file)
            with open(self.part, "ab" if start else "wb") as file:
                for chunk in answer.iter_content(_CHUNK):
                    file.write(chunk)
                    start += len(chunk)
                    update(start, total)
        return total is None or start == total


def _span(answer) -> tuple[int, int | None]:
    """First byte of an answer, and length of the whole file."""
    if answer.status_code == 206:
        text = answer.headers.get("Content-Range", "")
        try:
            span, total = text.removeprefix("bytes ").split("/")
            return int(span.split("-")[0]), int(total)
        except ValueError:
            return -1, None
    length = answer.headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else None


def _tag(answer) -> str | None:
    """What tells that the remote file is still the same one."""
    tag = answer.headers.get("ETag", "")
    if tag and not tag.startswith("W/"):
        return tag
    return answer.headers.get("Last-Modified")


def _short(error: Exception) -> str:
    text = str(error) or type(error).__name__
    return text if len(text) < 160 else text[:157] + "..."


def damage(path: Path, name: str) -> str | None:
    """What is wrong with the form of a file, judged by its suffix."""
    import zipfile

    suffix = Path(name).suffix.lower()
    with open(path, "rb") as file:
        begin = file.read(256)
        file.seek(max(0, path.stat().st_size - 4))
        end = file.read(4)
    page = begin.lstrip()[:9].lower() in (b"<!doctype", b"<html><he")
    page = page or begin.lstrip()[:5].lower() == b"<html"
    if suffix in (".zip", ".parquet", ".rar", ".json") and page:
        return "the server sent a web page in its place"
    if suffix == ".parquet" and not begin[:4] == end == b"PAR1":
        return "it does not begin and end as a parquet file does"
    if suffix in (".zip", ".rar") and begin.startswith(RAR):
        return None                 # a rar, whatever it is called
    if suffix == ".rar" and not begin.startswith(b"PK"):
        return "it does not begin as a rar archive does"
    if suffix in (".zip", ".rar"):
        try:
            with zipfile.ZipFile(path) as archive:
                bad = archive.testzip()
            return bad and f"its member {bad} is damaged"
        except (zipfile.BadZipFile, EOFError, OSError,
                RuntimeError) as error:
            return f"it is no whole zip archive ({error})"
    if suffix == ".json":
        try:
            json.loads(path.read_bytes())
        except ValueError as error:
            return f"it is no JSON ({error})"
    return None


def retrieve(
    url: str,
    path: Path,
    ledger: Ledger,
    *,
    key: str | None = None,
    sha256: str | None = None,
    downloader=None,
    show: bool = False,
    **options,
) -> Path:
    """One file, there and checked, or an error.

    Args:
        url: where it is.
        path: where it shall be.
        ledger: checksums of the data root.
        key: its name in the ledger, default the URL.
        sha256: the published checksum, where there is one.
        downloader: for pooch; default `Resumable`.
        show: draw a progress bar on stdout.
        **options: for `Resumable`.

    Raises:
        RsirError: broken off, a wrong file, no permission.
    """
    import pooch

    key = key or url
    noted = ledger.get(key).get("sha256")
    if sha256 and noted and sha256 != noted:
        raise RsirError(
            f"{ledger.path} records sha256 {noted[:12]}... for {key}, "
            f"but the published one is {sha256[:12]}...; delete that "
            "entry to fetch anew"
        )
    known = sha256 or noted
    path = Path(path)
    part = path.with_name(path.name + ".part")
    downloader = downloader or Resumable(part, show=show, **options)
    pooch.get_logger().setLevel(logging.WARNING)
    try:
        pooch.retrieve(
            url, f"sha256:{known}" if known else None,
            fname=path.name, path=path.parent, downloader=downloader,
        )
    except RsirError:
        raise
    except PermissionError as error:
        raise RsirError(
            f"no permission to write {error.filename or path.parent}; "
            "choose another root, or change its mode (chmod u+w)"
        ) from None
    except ValueError as error:
        if "hash" not in str(error).lower():
            raise
        origin = ("the published checksum" if sha256 else
                  f"the one recorded at the first download ({LEDGER})")
        raise RsirError(
            f"{url} brought a wrong file: its sha256 is not {origin}, "
            f"{known[:12]}...; the file was thrown away; use another "
            "source, or delete the record if the owner has changed "
            "the file"
        ) from None
    if not noted:
        ledger.note(
            key, sha256=pooch.file_hash(str(path)),
            bytes=path.stat().st_size, url=url,
        )
    return path
