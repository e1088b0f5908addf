"""Fetch a data set from where users really get it.

Libraries do the transfer, and go on after a break: huggingface_hub for
the hub, gdown for Google Drive. Every file is unpacked aside and then
moved into place.
Where nobody has published a checksum, the first download records it in
`checksums.json` of the data root, and every later one must agree.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from rsir.data.catalog import Entry, Source, entry
from rsir.data.images import SUFFIXES
from rsir.data.readers import SPLIT_ALIASES, annotation, locate, some
from rsir.data.split import SPLIT_NAMES
from rsir.utils.errors import RsirError
from rsir.utils.io import atomic_write, data_root, locked, read_text, sha256_of

EXTRA = "pip install 'rsir[fetch]'"


class ManualSteps(RsirError):
    """No direct way is left; `steps` tell a person what to do."""

    def __init__(self, message: str, steps: tuple[str, ...]):
        numbered = "; ".join(f"({i}) {step}" for i, step in enumerate(steps, 1))
        super().__init__(f"{message}; by hand: {numbered}")
        self.steps = steps


class DamagedArchive(RsirError):
    """A download that cannot be read; it is thrown away."""


class Ledger:
    """The checksums of a data root, in `checksums.json`, by key.

    They are noted as files arrive, and recorded when a whole data
    set has been unpacked: a bad archive must not become the measure.

    Raises:
        RsirError: the file is damaged; it is never rewritten then,
            since it is the only record of the first download.
    """

    def __init__(self, root: Path):
        self.path = Path(root) / "checksums.json"
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

    def note(self, key: str, **facts) -> None:
        """Remember facts for a key until `record` writes them."""
        self._noted[key] = facts

    def check(self, key: str, path: Path) -> None:
        """Hold a file to its recorded sha256, or note it as the first.

        Raises:
            DamagedArchive: it is another file.
        """
        found = sha256_of(path)
        known = self.read().get(key, {}).get("sha256", found)
        if known != found:
            raise DamagedArchive(
                f"{key} brought another file than the first time: its sha256 is not "
                f"{known[:12]}..., as {self.path} has it; use another source, or "
                "delete the record if the owner has changed the file"
            )
        self.note(key, sha256=found, bytes=path.stat().st_size)

    def record(self) -> None:
        """Write what was noted; what stands there already stays."""
        data = self.read()
        today = datetime.now(UTC).date().isoformat()
        for key, facts in self._noted.items():
            data[key] = {"first": today, **facts, **data.get(key, {})}
        with atomic_write(self.path) as file:
            json.dump(data, file, indent=1, sort_keys=True)
            file.write("\n")


def fetch(
    name: str,
    root: str | os.PathLike | None = None,
    *,
    source: str | None = None,
    keep: bool = False,
    progress: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> Path:
    """Bring a data set into `<root>/<name>`, ready for load_dataset.

    A data set that is there already is left alone.

    Args:
        name: "ucm", "rsicd", "rsitmd" or "sydney".
        root: the data root, default as for load_dataset.
        source: "hub" or "drive" to use that one alone.
        keep: keep the archives in `<root>/downloads`.
        progress: let the libraries draw progress bars.
        say: is told each step in a line.

    Returns:
        The folder of the data set.

    Raises:
        ManualSteps: no source could be used.
        RsirError: unknown name or source, another fetch is running.
    """
    what, root = entry(name), data_root(root)
    try:
        there = locate(what, root).folder
    except RsirError:
        pass
    else:
        say(f"{name} is there: {there}")
        return there
    direct = [s for s in what.sources if s.kind != "manual"]
    chosen = [s for s in direct if source in (None, s.kind)]
    if not chosen:
        raise RsirError(
            f"{name} has no source {source!r}; there are "
            f"{', '.join(s.kind for s in direct)}"
        )
    reasons = []
    try:
        with locked(root / ".fetch.lock", f"the data root {root}", wait=0):
            for place in chosen:
                say(f"{name} from {place.kind}: {place.title}")
                try:
                    return _fetch_from(what, place, root, keep, progress, say)
                except RsirError as error:
                    reasons.append(f"{place.kind}: {error}")
                    say(f"that failed: {error}")
    except OSError as error:
        raise RsirError(
            f"cannot write to the data root {root}: {error.strerror}; "
            "choose another with --root or RSIR_DATA"
        ) from None
    steps = [step for s in what.sources for step in s.steps]
    raise ManualSteps(
        f"{name} could not be fetched ({' | '.join(reasons)})",
        tuple(step.format(folder=root / name) for step in steps),
    )


def _fetch_from(what: Entry, place: Source, root: Path, keep, progress, say) -> Path:
    store, ledger = root / "downloads" / what.name, Ledger(root)
    store.mkdir(parents=True, exist_ok=True)
    ledger.read()  # a damaged record is told before a long download
    for left in root.glob(f".{what.name}-*"):  # of a fetch that was killed
        shutil.rmtree(left, ignore_errors=True)
    bring = {"hub": _from_hub, "drive": _from_drive}[place.kind]
    try:
        files = bring(place, store, ledger, progress)
        say("unpacking")
        with tempfile.TemporaryDirectory(prefix=f".{what.name}-", dir=root) as aside:
            staging = Path(aside) / "new"
            staging.mkdir()
            if place.kind == "hub":
                parquet_to_karpathy(files, staging, what)
            else:
                for path in files:
                    unpack(path, staging)
            found = dataset_folder(what, staging)
            if (root / what.name).exists():  # such as the pictures alone
                shutil.copytree(found, root / what.name, dirs_exist_ok=True)
            else:
                os.replace(found, root / what.name)
    except DamagedArchive:
        shutil.rmtree(store, ignore_errors=True)
        raise
    except OSError as error:
        raise RsirError(
            f"{what.name} broke off ({_short(error)}); what has "
            f"arrived is kept in {store}: run the same command again"
        ) from None
    ledger.record()
    folder = locate(what, root).folder
    if not keep:
        shutil.rmtree(store, ignore_errors=True)
    say(f"{what.name} is in {folder}; now run: rsir data verify {what.name}")
    return folder


# ----------------------------------------------------------------------
# The two kinds of source. Each gives the paths of its files.


def _library(name: str, what: str):
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError:
        raise RsirError(
            f"{what} needs {name.split('.')[0]}: {EXTRA}, then run the same "
            "command again"
        ) from None


def _from_drive(place: Source, store: Path, ledger: Ledger, progress) -> list[Path]:
    gdown = _library("gdown", "Google Drive")
    for name, key in place.files.items():
        path = store / name
        try:
            if not path.exists():
                gdown.download(
                    id=key, output=str(path), quiet=not progress, resume=True
                )
            ledger.check(f"drive:{key}", path)
        except RsirError:
            raise
        except Exception as error:  # gdown's own kinds, requests', OSError
            raise RsirError(
                f"Google Drive did not bring {name}: {_short(error)}"
            ) from None
    return [store / name for name in place.files]


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _from_hub(place: Source, store: Path, ledger: Ledger, progress) -> list[Path]:
    """Parquet files of a hub data set, at one revision for ever."""
    hub = _library("huggingface_hub", "the hub")
    _library("pyarrow.parquet", "reading parquet files")
    [repository] = place.files.values()
    key = f"hub:{repository}"
    revision = ledger.read().get(key, {}).get("revision")
    if not progress:
        hub.utils.disable_progress_bars()
    try:
        revision = revision or hub.HfApi().dataset_info(repository).sha
        hub.snapshot_download(
            repository,
            repo_type="dataset",
            revision=revision,
            allow_patterns="*.parquet",
            local_dir=store,
        )
    except Exception as error:  # the library's own kinds, httpx's, OSError
        raise RsirError(
            f"{repository}: the hub did not answer as it should ({_short(error)})"
        ) from None
    ledger.note(key, revision=revision)
    files = sorted(store.rglob("*.parquet"))
    for path in files:
        ledger.check(f"{key}@{revision}/{path.relative_to(store).as_posix()}", path)
    return files


def parquet_to_karpathy(files: list[Path], folder: Path, what: Entry) -> None:
    """Images and Karpathy JSON from parquet files.

    The columns are `filename`, `captions` (a list) and `image` (a
    struct with `bytes`), as `arampacha/rsicd` has them; the split is
    the first word of the file's name.

    Raises:
        RsirError: a split or a column missing, a name twice.
    """
    pq = _library("pyarrow.parquet", "reading parquet files")
    part_of = {f: SPLIT_ALIASES.get(f.stem.split("-")[0].split(".")[0]) for f in files}
    if set(part_of.values()) != set(SPLIT_NAMES):
        raise RsirError(
            f"the parquet files are {some([f.name for f in files]) or 'none'}; "
            "one or more are needed for train, val and test each, and no other"
        )
    pictures = folder / what.image_folders[0]
    pictures.mkdir(parents=True)
    images, seen = [], set()
    for path in sorted(files, key=lambda f: (SPLIT_NAMES.index(part_of[f]), f)):
        try:
            table = pq.read_table(path)
        except (OSError, ValueError) as error:
            raise DamagedArchive(f"cannot read {path}: {error}") from None
        lacking = {"filename", "captions", "image"} - set(table.schema.names)
        if lacking:
            raise RsirError(
                f"{path.name} has no column {min(lacking)!r} "
                f"(it has {', '.join(table.schema.names)})"
            )
        for row in (r for b in table.to_batches(64) for r in b.to_pylist()):
            name = PurePosixPath(row["filename"]).name
            data = (row["image"] or {}).get("bytes")
            if name in seen or not data:
                why = "comes twice" if name in seen else "comes without a picture"
                raise RsirError(f"{path.name}: {name} {why}")
            seen.add(name)
            (pictures / name).write_bytes(data)
            sentences = [{"raw": c} for c in row["captions"]]
            images.append(
                {"filename": name, "split": part_of[path], "sentences": sentences}
            )
    with atomic_write(folder / what.annotations[0]) as file:
        json.dump({"images": images, "dataset": what.name}, file)


# ----------------------------------------------------------------------
# Unpack.


def unpack(archive: Path, target: Path, depth: int = 2) -> None:
    """Unpack an archive, and archives in it, below `target`.

    A rar is known by its first bytes, whatever it is called; patool
    unpacks it with a tool of the system. Another file is copied.

    Raises:
        DamagedArchive: no archive (such as a web page), or torn.
        RsirError: no tool for it, or a member leads out of `target`.
    """
    target.mkdir(parents=True, exist_ok=True)
    with open(archive, "rb") as file:
        begin = file.read(512).lstrip()
    if begin[:5].lower() in (b"<html", b"<!doc"):
        raise DamagedArchive(
            f"the server sent a web page in place of {archive.name} (too many "
            "downloads, or a login); try later or use another source"
        )
    if archive.suffix.lower() not in (".zip", ".rar"):
        shutil.copy2(archive, target / archive.name)
    elif begin.startswith(b"Rar!"):
        _unrar(archive, target)
    else:
        _unzip(archive, target)
    inside = target.resolve()
    for path in target.rglob("*"):
        if path.is_symlink() or inside not in path.resolve().parents:
            raise _unsafe(archive, path.name)
    for inner in sorted(target.rglob("*")) if depth > 1 else ():
        if inner.suffix.lower() in (".zip", ".rar"):
            unpack(inner, inner.with_suffix(""), depth - 1)
            inner.unlink()


def _unsafe(archive: Path, member: str) -> RsirError:
    return RsirError(
        f"archive {archive} is not safe to unpack: its member {member!r} is a "
        "link or leads out of the folder"
    )


def _unzip(archive: Path, target: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as file:
            for name in file.namelist():
                path = PurePosixPath(name.replace("\\", "/"))
                if path.is_absolute() or ".." in path.parts or name[1:2] == ":":
                    raise _unsafe(archive, name)
            file.extractall(target)  # checks the checksum of every member
    except (zipfile.BadZipFile, EOFError, zlib.error) as error:
        raise DamagedArchive(f"cannot unpack {archive}: {error}") from None
    except (RuntimeError, NotImplementedError) as error:  # encrypted, odd method
        raise RsirError(f"cannot unpack {archive}: {error}") from None


def _unrar(archive: Path, target: Path) -> None:
    patool = _library("patoolib", "unpacking rar files")
    try:
        patool.extract_archive(
            str(archive), outdir=str(target), verbosity=-1, interactive=False
        )
    except patool.util.PatoolError as error:
        if "could not find" not in str(error):
            raise DamagedArchive(f"cannot unpack {archive}: {_short(error)}") from None
        raise RsirError(
            f"no tool to unpack {archive} ({_short(error)}); install unar, unrar, "
            "7z or bsdtar, then run the same command again"
        ) from None


def dataset_folder(what: Entry, staging: Path) -> Path:
    """The folder in a staging area that holds the annotations."""
    for folder in [staging, *sorted(p for p in staging.rglob("*") if p.is_dir())]:
        if annotation(folder, what):
            return folder
    files = [p for p in staging.rglob("*") if p.is_file()]
    images = sum(p.suffix.lower() in SUFFIXES for p in files)
    others = sorted(p.name for p in files if p.suffix.lower() not in SUFFIXES)
    raise RsirError(
        f"the archive has no {what.annotations[0]} or train_caps.txt; "
        f"it holds {images:,} images and {some(others) or 'nothing else'}"
    )
