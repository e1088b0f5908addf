"""From archives and parquet files to a folder that the readers know.

Everything is unpacked aside, looked at, and then moved into place.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import stat
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from rsir.data.catalog import Entry, Source, entry
from rsir.data.images import SUFFIXES
from rsir.data.readers import SPLIT_ALIASES, annotation, locate, some
from rsir.utils.errors import RsirError
from rsir.utils.io import atomic_write, data_root, read_text

_RAR_TOOLS = (
    ("bsdtar", "-xf", "{archive}", "-C", "{target}"),
    (
        "unar",
        "-quiet",
        "-force-overwrite",
        "-output-directory",
        "{target}",
        "{archive}",
    ),
    ("unrar", "x", "-idq", "-o+", "{archive}", "{target}/"),
    ("7z", "x", "-y", "-o{target}", "{archive}"),
)


class DamagedArchive(RsirError):
    """An archive that cannot be read; the caller throws it away."""


def safe_parts(name: str, archive: Path) -> tuple[str, ...]:
    """The parts of a member's path, if it stays below the target.

    Raises:
        RsirError: an absolute path, a drive, or "..".
    """
    pure = PurePosixPath(name.replace("\\", "/"))
    if (
        pure.is_absolute()
        or ".." in pure.parts
        or "\0" in name
        or (pure.parts and ":" in pure.parts[0])
    ):
        raise RsirError(
            f"archive {archive} is not safe to unpack: its member "
            f"{name!r} leads out of the folder; nothing was unpacked"
        )
    return pure.parts


def unzip(archive: Path, target: Path) -> None:
    """Unpack a zip below `target`; all members are checked before.

    Raises:
        RsirError: damaged, encrypted, no room, or a member that
            leads out of the target or is a link.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            members = []
            for info in file.infolist():
                parts = safe_parts(info.filename, archive)
                if stat.S_ISLNK(info.external_attr >> 16):
                    raise RsirError(
                        f"archive {archive} is not safe to unpack: "
                        f"its member {info.filename!r} is a link; "
                        "nothing was unpacked"
                    )
                if info.is_dir() or not parts or "__MACOSX" in parts:
                    continue
                members.append((info, target.joinpath(*parts)))
            need = sum(info.file_size for info, _ in members)
            target.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(target).free
            if need > free:
                raise RsirError(
                    f"{archive} needs {need:,} bytes in {target}, but "
                    f"{free:,} are free; make room, then run the same "
                    "command again"
                )
            for info, path in members:
                path.parent.mkdir(parents=True, exist_ok=True)
                with file.open(info) as source, open(path, "wb") as to:
                    shutil.copyfileobj(source, to, 1 << 20)
    except (zipfile.BadZipFile, EOFError, RuntimeError, NotImplementedError) as error:
        raise DamagedArchive(
            f"cannot unpack {archive}: {error}; fetch it again"
        ) from None


def check_tools(names: Iterable[str]) -> None:
    """Before a long download: can its files be unpacked here?

    Raises:
        RsirError: a rar, or parquet files, and nothing that reads it.
    """
    for name in names:
        if name.endswith(".rar") and not any(
            shutil.which(tool[0]) for tool in _RAR_TOOLS
        ):
            raise RsirError(
                f"no tool to unpack {name}; install one of "
                f"{', '.join(t[0] for t in _RAR_TOOLS)}, then run the "
                "same command again"
            )
        if name.endswith("parquet"):
            _pyarrow()


def _pyarrow():
    try:
        import pyarrow.parquet as pq
    except ImportError:
        raise RsirError(
            "reading parquet files needs pyarrow; install it (pip "
            "install pyarrow), then run the same command again"
        ) from None
    return pq


def unrar(archive: Path, target: Path) -> None:
    """Unpack a rar below `target` with a tool of the system.

    Raises:
        RsirError: no tool for it, or the tool fails.
    """
    target.mkdir(parents=True, exist_ok=True)
    for tool, *arguments in _RAR_TOOLS:
        if shutil.which(tool) is None:
            continue
        command = [tool, *(a.format(archive=archive, target=target) for a in arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            break
        said = " ".join((done.stderr or done.stdout).split())
        raise DamagedArchive(
            f"{tool} cannot unpack {archive}: {said[:200]}; the file "
            "is thrown away, fetch it again"
        )
    else:
        check_tools([archive.name])
    inside = target.resolve()
    for path in target.rglob("*"):
        if path.is_symlink() or inside not in path.resolve().parents:
            raise RsirError(
                f"archive {archive} is not safe: its member "
                f"{path.name!r} is a link or leads out of the folder"
            )


def unpack(archive: Path, target: Path, depth: int = 2) -> None:
    """Unpack an archive, and archives in it, below `target`.

    A zip or rar is known by its first bytes: Drive's own names lie.
    """
    with open(archive, "rb") as file:
        begin = file.read(len(RAR))
    if archive.suffix.lower() not in (".zip", ".rar"):
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy2(archive, target / archive.name)
        return
    (unrar if begin == RAR else unzip)(archive, target)
    for inner in sorted(target.rglob("*")) if depth > 1 else ():
        if inner.suffix.lower() in (".zip", ".rar") and inner.is_file():
            place = inner.with_suffix("")
            aside = inner.with_name(inner.name + ".unpacked")
            unpack(inner, aside, depth - 1)
            same = aside / place.name
            if same.is_dir() and len(list(aside.iterdir())) == 1:
                os.replace(same, place)
                aside.rmdir()
            else:
                os.replace(aside, place)
            inner.unlink()


def dataset_folder(entry: Entry, staging: Path) -> Path:
    """The folder in a staging area that holds the annotations.

    Raises:
        RsirError: none; the message tells what there is.
    """
    folders = [staging, *sorted(p for p in staging.rglob("*") if p.is_dir())]
    for folder in folders:
        found = annotation(folder, entry.annotations)
        if found and found[0] != "folder":
            return folder
    files = [p for p in staging.rglob("*") if p.is_file()]
    images = sum(p.suffix.lower() in SUFFIXES for p in files)
    tables = [p.name for p in files if p.suffix.lower() in (".csv", ".txt", ".json")]
    raise RsirError(
        f"the archive has no {entry.annotations[0]} or train_caps.txt; "
        f"it holds {images:,} images and these tables: "
        f"{some(sorted(tables)) or 'none'}"
    )


def install(source: Path, folder: Path) -> None:
    """Move what `source` holds into `folder`, replacing files.

    A folder that is not there yet appears at once.
    """
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        os.replace(source, folder)
        return
    for path in sorted(source.iterdir()):
        to = folder / path.name
        if path.is_dir() and to.is_dir():
            install(path, to)
        elif to.is_dir():
            raise RsirError(
                f"{to} is a folder, but the archive has a file of "
                "that name; move the folder away"
            )
        else:
            os.replace(path, to)


def parquet_to_karpathy(
    files: Iterable[tuple[str, Path]], folder: Path, entry: Entry
) -> None:
    """Images and Karpathy JSON from parquet files.

    The columns are `filename`, `captions` (a list) and `image` (a
    struct with `bytes`), as `arampacha/rsicd` has them.

    Args:
        files: (split, path) in the order of the JSON.
        folder: where `<images>/` and the JSON go.
        entry: the data set.

    Raises:
        RsirError: no pyarrow, a column missing, a name twice.
    """
    pq = _pyarrow()
    pictures = folder / entry.image_folders[0]
    pictures.mkdir(parents=True, exist_ok=True)
    images, seen, sentid = [], {}, 0
    for split, path in files:
        try:
            table = pq.ParquetFile(path)
            lacking = {"filename", "captions", "image"} - set(table.schema_arrow.names)
        except (OSError, ValueError) as error:
            raise DamagedArchive(f"cannot read {path}: {error}") from None
        if lacking:
            raise RsirError(
                f"{path.name} has no column {min(lacking)!r} "
                f"(it has {', '.join(table.schema_arrow.names)})"
            )
        for batch in table.iter_batches(64):
            for row in batch.to_pylist():
                name = PurePosixPath(row["filename"]).name
                safe_parts(name, path)
                if name in seen:
                    raise RsirError(
                        f"image {name} is in {seen[name]} and in {path.name}"
                    )
                seen[name] = path.name
                data = (row["image"] or {}).get("bytes")
                if not data:
                    raise RsirError(f"{path.name}: {name} comes without a picture")
                (pictures / name).write_bytes(data)
                sentences = [
                    {"raw": c, "imgid": len(images), "sentid": sentid + k}
                    for k, c in enumerate(row["captions"])
                ]
                images.append(
                    {
                        "filename": name,
                        "imgid": len(images),
                        "split": split,
                        "sentences": sentences,
                        "sentids": [s["sentid"] for s in sentences],
                    }
                )
                sentid += len(sentences)
    with atomic_write(folder / entry.annotations[0]) as file:
        json.dump({"images": images, "dataset": entry.name}, file)


# ----------------------------------------------------------------------
# Bring one file over HTTP: resumed, whole, and with a known sum.
#
# A file is first `<name>.part`. It gets its name only when the length
# is what the server said, the form is that of its suffix (a zip opens,
# a parquet file ends as it should), and the checksum is the known one.
# Where nobody has published a checksum, the first download records it
# in `checksums.json` of the data root, and every later one must agree.


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
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(file=sys.stdout),
    ) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


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
        self,
        part: Path,
        *,
        show: bool = False,
        tries: int = 4,
        wait: float = 1.0,
        timeout: float = 30.0,
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
        with requests.Session() as session, progress_bar(name, self.show) as update:
            while True:
                try:
                    if self._attempt(session, url, update):
                        break
                    why = (
                        f"the server sent {self._size():,} of "
                        f"{self._about().get('total', 0):,} bytes"
                    )
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
            have = 0  # of another file, or not to prove
        head = {"Accept-Encoding": "identity"}
        if have:
            head |= {"Range": f"bytes={have}-", "If-Range": about["tag"]}
        with session.get(
            url, headers=head, stream=True, timeout=self.timeout
        ) as answer:
            if answer.status_code == 416:  # nothing behind `have`
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
                self.forget()  # not the piece that was asked for
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
        return None  # a rar, whatever it is called
    if suffix == ".rar" and not begin.startswith(b"PK"):
        return "it does not begin as a rar archive does"
    if suffix in (".zip", ".rar"):
        try:
            with zipfile.ZipFile(path) as archive:
                bad = archive.testzip()
            return bad and f"its member {bad} is damaged"
        except (zipfile.BadZipFile, EOFError, OSError, RuntimeError) as error:
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
            url,
            f"sha256:{known}" if known else None,
            fname=path.name,
            path=path.parent,
            downloader=downloader,
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
        origin = (
            "the published checksum"
            if sha256
            else f"the one recorded at the first download ({LEDGER})"
        )
        raise RsirError(
            f"{url} brought a wrong file: its sha256 is not {origin}, "
            f"{known[:12]}...; the file was thrown away; use another "
            "source, or delete the record if the owner has changed "
            "the file"
        ) from None
    if not noted:
        ledger.note(
            key,
            sha256=pooch.file_hash(str(path)),
            bytes=path.stat().st_size,
            url=url,
        )
    return path


# ----------------------------------------------------------------------
# Fetch a data set from where users really get it.
#
# Sources are tried in the order of the catalogue: the hub, Drive (with
# gdown), and plain HTTPS only when asked for, since those archives hold
# test pairs alone. What fails is said, and the manual steps follow.


DOWNLOADS = "downloads"


class ManualSteps(RsirError):
    """No direct way is left; `steps` tell a person what to do.

    Attributes:
        steps: what to do, in order.
    """

    def __init__(self, message: str, steps: tuple[str, ...]):
        numbered = "; ".join(f"({i}) {step}" for i, step in enumerate(steps, 1))
        super().__init__(f"{message}; by hand: {numbered}")
        self.steps = steps


def fetch(
    name: str,
    root: str | os.PathLike | None = None,
    *,
    source: str | None = None,
    keep: bool = False,
    progress: bool = False,
    say: Callable[[str], None] = lambda text: None,
    **options,
) -> Path:
    """Bring a data set into `<root>/<name>`, ready for load_dataset.

    An interrupted fetch goes on where it broke off. A data set that
    is there already is left alone.

    Args:
        name: "ucm", "rsicd", "rsitmd" or "sydney".
        root: the data root, default as for load_dataset.
        source: "hub", "drive" or "https" to use that one alone.
        keep: keep the archives in `<root>/downloads`.
        progress: draw progress bars on stdout.
        say: is told each step in a line.
        **options: tries, wait, timeout of `transfer.Resumable`.

    Returns:
        The folder of the data set.

    Raises:
        ManualSteps: no source could be used.
        RsirError: unknown name or source, another fetch is running.
    """
    what = entry(name)
    root = data_root(root)
    try:
        there = locate(what, root).folder
    except RsirError:
        pass
    else:
        say(f"{name} is there: {there}")
        return there
    chosen = _choose(what, source)
    with _one_at_a_time(root):
        reasons = []
        for place in chosen:
            say(f"{name} from {place.kind}: {place.title}")
            try:
                return _fetch_from(what, place, root, keep, progress, say, options)
            except RsirError as error:
                reasons.append(f"{place.kind}: {error}")
                say(f"that failed: {error}")
        folder = root / name
        steps = tuple(
            step.format(folder=folder)
            for s in what.sources
            if s.kind == "manual"
            for step in s.steps
        )
        raise ManualSteps(f"{name} could not be fetched ({' | '.join(reasons)})", steps)


def _choose(what: Entry, kind: str | None) -> list[Source]:
    direct = [s for s in what.sources if s.kind != "manual"]
    if kind is None:
        return [s for s in direct if s.complete]
    chosen = [s for s in direct if s.kind == kind]
    if not chosen:
        raise RsirError(
            f"{what.name} has no source {kind!r}; there are "
            f"{', '.join(s.kind for s in direct)}"
        )
    return chosen


@contextmanager
def _one_at_a_time(root: Path):
    from filelock import FileLock, Timeout

    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(root / ".fetch.lock", timeout=0)
        lock.acquire()
    except Timeout:
        raise RsirError(
            f"another fetch is at work in {root}; wait until it is done"
        ) from None
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        raise RsirError(
            f"cannot write to the data root {root}: {error.strerror}; "
            "choose another with --root or RSIR_DATA"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _fetch_from(
    what: Entry, place: Source, root: Path, keep, progress, say, options
) -> Path:
    store = root / DOWNLOADS / what.name
    ledger = Ledger(root)
    check_tools(file for file, _ in place.files)
    bring = {"hub": _from_hub, "https": _from_https, "drive": _from_drive}[place.kind]
    files = bring(place, store, ledger, progress, say, options)
    say("unpacking")
    for left in root.glob(f".{what.name}-*"):  # by a killed fetch
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f".{what.name}-", dir=root) as aside:
        staging = Path(aside) / "new"
        staging.mkdir()
        try:
            if place.kind == "hub":
                parquet_to_karpathy(files, staging, what)
            else:
                for _, path in files:
                    unpack(path, staging)
        except DamagedArchive:
            for _, path in files:
                path.unlink()
            raise
        found = dataset_folder(what, staging)
        install(found, root / what.name)
    ledger.record()
    folder = locate(what, root).folder
    if not keep:
        shutil.rmtree(store, ignore_errors=True)
    say(f"{what.name} is in {folder}; now run: rsir data verify {what.name}")
    return folder


def _from_https(place, store, ledger, progress, say, options):
    sums = place.sha256 or (None,) * len(place.files)
    return [
        (
            "",
            retrieve(
                url, store / name, ledger, sha256=digest, show=progress, **options
            ),
        )
        for (name, url), digest in zip(place.files, sums, strict=True)
    ]


def _from_drive(place, store, ledger, progress, say, options):
    try:
        import gdown
    except ImportError:
        raise RsirError(
            "Google Drive needs gdown; install it (pip install gdown)"
        ) from None

    def bring(name):
        part = store / (name + ".part")

        def download(url, output_file, pooch=None):

            store.mkdir(parents=True, exist_ok=True)
            try:
                gdown.download(
                    url=url,
                    output=str(part),
                    quiet=not progress,
                    resume=True,
                )
            except Exception as error:
                raise RsirError(
                    f"Google Drive refused {name}: {' '.join(str(error).split())[:200]}"
                ) from None
            problem = damage(part, name) if part.exists() else "nothing arrived"
            if problem:
                part.unlink(missing_ok=True)
                raise RsirError(f"Google Drive did not bring a whole {name}: {problem}")
            os.replace(part, output_file)

        return download

    sums = place.sha256 or (None,) * len(place.files)
    return [
        (
            "",
            retrieve(
                f"https://drive.google.com/uc?id={key}",
                store / name,
                ledger,
                sha256=digest,
                downloader=bring(name),
            ),
        )
        for (name, key), digest in zip(place.files, sums, strict=True)
    ]


def _from_hub(place, store, ledger, progress, say, options):
    """Parquet files of a hub data set, at one revision for ever."""
    [(_, repository)] = place.files
    base = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    base = base.rstrip("/")
    key = f"hub:{repository}"
    revision = place.revision or ledger.get(key).get("revision")
    listing = _hub_listing(base, repository, revision or "main")
    sha = listing["sha"]
    if revision and revision != sha:
        raise RsirError(
            f"{repository}: asked for revision {revision}, the hub answers with {sha}"
        )
    say(f"revision {sha}" + ("" if revision else " (recorded)"))
    ledger.note(key, revision=sha, url=f"{base}/datasets/{repository}")
    files = []
    for item in listing["siblings"]:
        path = item.get("rfilename", "")
        if not path.endswith(".parquet"):
            continue
        stem = path.rsplit("/", 1)[-1].split("-", 1)[0].split(".")[0]
        if stem not in SPLIT_ALIASES:
            raise RsirError(f"{repository}: {path} tells no split by its name")
        files.append(
            (
                SPLIT_ALIASES[stem],
                retrieve(
                    f"{base}/datasets/{repository}/resolve/{sha}/{path}",
                    store / path.replace("/", "_"),
                    ledger,
                    key=f"{key}@{sha}/{path}",
                    sha256=(item.get("lfs") or {}).get("sha256"),
                    show=progress,
                    **options,
                ),
            )
        )
    have = {split for split, _ in files}
    if have != {"train", "val", "test"}:
        raise RsirError(
            f"{repository} has parquet files for "
            f"{', '.join(sorted(have)) or 'no split'} only"
        )
    return sorted(files, key=lambda f: ("train", "val", "test").index(f[0]))


def _hub_listing(base: str, repository: str, revision: str) -> dict:
    import requests

    url = f"{base}/api/datasets/{repository}/revision/{revision}"
    try:
        answer = requests.get(url, params={"blobs": "true"}, timeout=30)
        answer.raise_for_status()
        listing = answer.json()
        if not isinstance(listing["sha"], str) or not isinstance(
            listing["siblings"], list
        ):
            raise KeyError("sha")
        return listing
    except requests.exceptions.RequestException as error:
        raise RsirError(f"{url} does not answer: {error}") from None
    except (KeyError, TypeError):
        raise RsirError(f"{url} gave no list of files") from None
