"""From archives and parquet files to a folder that the readers know.

Everything is unpacked aside, looked at, and then moved into place.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from rsir.data.assemble import some
from rsir.data.catalog import Entry
from rsir.data.images import SUFFIXES
from rsir.data.locate import annotation
from rsir.data.paths import atomic_write
from rsir.data.transfer import RAR
from rsir.errors import RsirError

_RAR_TOOLS = (
    ("bsdtar", "-xf", "{archive}", "-C", "{target}"),
    ("unar", "-quiet", "-force-overwrite", "-output-directory",
     "{target}", "{archive}"),
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
        pure.is_absolute() or ".." in pure.parts
        or "\0" in name or (pure.parts and ":" in pure.parts[0])
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
    except (zipfile.BadZipFile, EOFError, RuntimeError,
            NotImplementedError) as error:
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
        command = [tool, *(
            a.format(archive=archive, target=target) for a in arguments
        )]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False)
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
    folders = [staging, *sorted(
        p for p in staging.rglob("*") if p.is_dir()
    )]
    for folder in folders:
        found = annotation(folder, entry.annotations)
        if found and found[0] != "folder":
            return folder
    files = [p for p in staging.rglob("*") if p.is_file()]
    images = sum(p.suffix.lower() in SUFFIXES for p in files)
    tables = [p.name for p in files
              if p.suffix.lower() in (".csv", ".txt", ".json")]
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
            lacking = {"filename", "captions", "image"} - set(
                table.schema_arrow.names
            )
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
                        f"image {name} is in {seen[name]} and in "
                        f"{path.name}"
                    )
                seen[name] = path.name
                data = (row["image"] or {}).get("bytes")
                if not data:
                    raise RsirError(
                        f"{path.name}: {name} comes without a picture"
                    )
                (pictures / name).write_bytes(data)
                sentences = [
                    {"raw": c, "imgid": len(images), "sentid": sentid + k}
                    for k, c in enumerate(row["captions"])
                ]
                images.append({
                    "filename": name, "imgid": len(images),
                    "split": split, "sentences": sentences,
                    "sentids": [s["sentid"] for s in sentences],
                })
                sentid += len(sentences)
    with atomic_write(folder / entry.annotations[0]) as file:
        json.dump({"images": images, "dataset": entry.name}, file)
