"""Fetch a data set from where users really get it.

huggingface_hub and gdown do the transfer, and go on after a break; what
they bring is unpacked aside and then moved into place.
Where nobody has published a checksum, the first download records it in
`checksums.json` of the data root, and every later one must agree.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path, PurePosixPath

from rsir.data.catalog import Entry, Source, entry
from rsir.data.images import SUFFIXES
from rsir.data.readers import SPLIT_ALIASES, annotation, locate, some
from rsir.data.split import SPLIT_NAMES
from rsir.utils.errors import RsirError
from rsir.utils.io import atomic_write, data_root, locked, read_text, sha256_of

_LEADS_OUT = re.compile(r"[/\\]|.:|(.*[/\\])?\.\.([/\\]|$)").match


class ManualSteps(RsirError):
    """No direct way is left; `steps` tell a person what to do."""

    def __init__(self, message: str, steps: tuple[str, ...]):
        numbered = "; ".join(f"({i}) {step}" for i, step in enumerate(steps, 1))
        super().__init__(f"{message}; by hand: {numbered}")
        self.steps = steps


class DamagedArchive(RsirError):
    """A download that cannot be read; it is thrown away."""


def checksums(root: Path) -> dict[str, dict]:
    """What `checksums.json` of a data root records, by source.

    Raises:
        RsirError: the file is damaged; it is never rewritten then,
            since it is the only record of the first download.
    """
    path = Path(root) / "checksums.json"
    try:
        data = json.loads(read_text(path)) if path.exists() else {}
    except json.JSONDecodeError:
        data = None
    if not isinstance(data, dict):
        raise RsirError(
            f"{path} is not readable as JSON; repair it, or "
            "delete it to trust the next download anew"
        )
    return data


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
    with suppress(RsirError):
        there = locate(what, root).folder
        say(f"{name} is there: {there}")
        return there
    direct = {s.kind: s for s in what.sources if s.kind != "manual"}
    if source not in (None, *direct):
        raise RsirError(
            f"{name} has no source {source!r}; there are {', '.join(direct)}"
        )
    reasons = []
    with locked(root / ".fetch.lock", f"the data root {root}", wait=0):
        for kind in [source] if source else direct:
            say(f"{name} from {kind}: {direct[kind].title}")
            try:
                return _fetch_from(what, direct[kind], root, keep, progress, say)
            except RsirError as error:
                reasons.append(f"{kind}: {error}")
                say(f"that failed: {error}")
    steps = [step for s in what.sources for step in s.steps]
    raise ManualSteps(
        f"{name} could not be fetched ({' | '.join(reasons)})",
        tuple(step.format(folder=root / name) for step in steps),
    )


def _fetch_from(what: Entry, place: Source, root: Path, keep, progress, say) -> Path:
    store, target = root / "downloads" / what.name, root / what.name
    known = checksums(root)  # if damaged, told before a long download
    for left in root.glob(f".{what.name}-*"):  # of a fetch that was killed
        shutil.rmtree(left, ignore_errors=True)
    bring = {"hub": _from_hub, "drive": _from_drive}[place.kind]
    try:
        store.mkdir(parents=True, exist_ok=True)
        files, noted = bring(place, store, known, progress)
        for key, path in files.items():
            digest = sha256_of(path)
            first = known.get(key, {}).get("sha256", digest)
            if first != digest:
                raise DamagedArchive(
                    f"{key} brought another file than the first time: its sha256 is "
                    f"not {first[:12]}..., as checksums.json in {root} has it; use "
                    "another source, or delete the record if the owner has changed "
                    "the file"
                )
            noted[key] = {"sha256": digest, "bytes": path.stat().st_size}
        say("unpacking")
        with tempfile.TemporaryDirectory(prefix=f".{what.name}-", dir=root) as aside:
            staging = Path(aside) / "new"
            staging.mkdir()
            if place.kind == "hub":
                parquet_to_karpathy([*files.values()], staging, what)
            else:
                for path in files.values():
                    unpack(path, staging)
            found = _dataset_folder(what, staging)
            if target.exists():  # such as the pictures alone
                shutil.copytree(found, target, dirs_exist_ok=True)
            else:
                os.replace(found, target)
    except DamagedArchive:
        shutil.rmtree(store, ignore_errors=True)
        raise
    except OSError as error:
        raise RsirError(
            f"{what.name} broke off ({_short(error)}); what has "
            f"arrived is kept in {store}: run the same command again"
        ) from None
    today = datetime.now(UTC).date().isoformat()
    for key, facts in noted.items():  # what stands there already stays
        known[key] = {"first": today, **facts, **known.get(key, {})}
    with atomic_write(root / "checksums.json") as file:
        file.write(json.dumps(known, indent=1, sort_keys=True) + "\n")
    folder = locate(what, root).folder
    if not keep:
        shutil.rmtree(store, ignore_errors=True)
    say(f"{what.name} is in {folder}; now run: rsir data verify {what.name}")
    return folder


def _library(name: str, what: str):
    try:
        return import_module(name)
    except ImportError:
        raise RsirError(
            f"{what} needs {name.split('.')[0]}: pip install 'rsir[fetch]', then run "
            "the same command again"
        ) from None


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


# The two kinds of source give the path of every file by the key of its
# checksum, and what else to record.


def _from_drive(place: Source, store: Path, known: dict, progress: bool):
    gdown = _library("gdown", "Google Drive")
    for name, key in place.files.items():
        path = str(store / name)
        try:
            if not os.path.exists(path):
                gdown.download(id=key, output=path, quiet=not progress, resume=True)
        except Exception as error:  # gdown's own kinds, requests', OSError
            raise RsirError(
                f"Google Drive did not bring {name}: {_short(error)}"
            ) from None
    return {f"drive:{key}": store / name for name, key in place.files.items()}, {}


def _from_hub(place: Source, store: Path, known: dict, progress: bool):
    """Parquet files of a hub data set, at one revision for ever."""
    hub = _library("huggingface_hub", "the hub")
    _library("pyarrow.parquet", "reading parquet files")
    [repository] = place.files.values()
    key = f"hub:{repository}"
    if not progress:
        hub.utils.disable_progress_bars()
    try:
        revision = known.get(key, {}).get("revision")
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
    files = {
        f"{key}@{revision}/{path.relative_to(store).as_posix()}": path
        for path in sorted(store.rglob("*.parquet"))
    }
    return files, {key: {"revision": revision}}


def parquet_to_karpathy(files: list[Path], folder: Path, what: Entry) -> None:
    """Images and Karpathy JSON from parquet files, as `arampacha/rsicd` has them.

    Columns are `filename`, `captions` (a list) and `image` (a struct with
    `bytes`); the split is the first word of the file's name.

    Raises:
        RsirError: a split or a column missing, a name twice.
    """
    pq = _library("pyarrow.parquet", "reading parquet files")
    part_of = {f: SPLIT_ALIASES.get(re.split(r"[-.]", f.name)[0]) for f in files}
    if set(part_of.values()) != set(SPLIT_NAMES):
        raise RsirError(
            f"the parquet files are {some([f.name for f in files]) or 'none'}; "
            "one or more are needed for train, val and test each, and no other"
        )
    pictures = folder / what.image_folders[0]
    pictures.mkdir(parents=True)
    images = {}
    for path in sorted(files, key=lambda f: (SPLIT_NAMES.index(part_of[f]), f)):
        try:
            table = pq.read_table(path, columns=["filename", "captions", "image"])
        except (OSError, ValueError) as error:
            raise DamagedArchive(f"cannot read {path}: {_short(error)}") from None
        for row in (r for b in table.to_batches(64) for r in b.to_pylist()):
            name = PurePosixPath(row["filename"]).name
            data = (row["image"] or {}).get("bytes")
            if name in images or not data:
                why = "comes twice" if name in images else "comes without a picture"
                raise RsirError(f"{path.name}: {name} {why}; use another source")
            (pictures / name).write_bytes(data)
            sentences = [{"raw": c} for c in row["captions"]]
            images[name] = {"split": part_of[path], "sentences": sentences}
    listed = [{"filename": name, **facts} for name, facts in images.items()]
    with atomic_write(folder / what.annotations[0]) as file:
        json.dump({"images": listed, "dataset": what.name}, file)


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
    bad = []
    if archive.suffix.lower() not in (".zip", ".rar"):
        shutil.copy2(archive, target / archive.name)
    elif begin.startswith(b"Rar!"):
        _unrar(archive, target)
    else:
        try:
            with zipfile.ZipFile(archive) as file:
                bad = [name for name in file.namelist() if _LEADS_OUT(name)]
                if not bad:
                    file.extractall(target)  # checks the sum of every member
        except (zipfile.BadZipFile, EOFError, zlib.error) as error:
            raise DamagedArchive(f"cannot unpack {archive}: {error}") from None
        except (RuntimeError, NotImplementedError) as error:  # encrypted, odd method
            raise RsirError(f"cannot unpack {archive}: {error}") from None
    inside = target.resolve()
    for path in target.rglob("*"):
        if path.is_symlink() or inside not in path.resolve().parents:
            bad.append(path.name)
    if bad:
        raise RsirError(
            f"archive {archive} is not safe to unpack: its member {bad[0]!r} is a "
            "link or leads out of the folder"
        )
    for inner in sorted(target.rglob("*")) if depth > 1 else ():
        if inner.suffix.lower() in (".zip", ".rar"):
            unpack(inner, inner.with_suffix(""), depth - 1)
            inner.unlink()


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


def _dataset_folder(what: Entry, staging: Path) -> Path:
    """The folder in a staging area that holds the annotations."""
    for folder in [staging, *sorted(p for p in staging.rglob("*") if p.is_dir())]:
        if annotation(folder, what):
            return folder
    files = [p for p in staging.rglob("*") if p.is_file()]
    others = sorted(p.name for p in files if p.suffix.lower() not in SUFFIXES)
    raise RsirError(
        f"the archive has no {what.annotations[0]} or train_caps.txt; it holds "
        f"{len(files) - len(others):,} images and {some(others) or 'nothing else'}"
    )
