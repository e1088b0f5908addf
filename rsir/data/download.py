"""Fetch a data set from where users really get it.

Sources are tried in the order of the catalogue: the hub, Drive (with
gdown), and plain HTTPS only when asked for, since those archives hold
test pairs alone. What fails is said, and the manual steps follow.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

from rsir.data.assemble import SPLIT_ALIASES
from rsir.data.catalog import Entry, Source, entry
from rsir.data.locate import locate
from rsir.data.paths import data_root
from rsir.data.transfer import Ledger, retrieve
from rsir.data.unpack import (
    DamagedArchive,
    check_tools,
    dataset_folder,
    install,
    parquet_to_karpathy,
    unpack,
)
from rsir.errors import RsirError

DOWNLOADS = "downloads"


class ManualSteps(RsirError):
    """No direct way is left; `steps` tell a person what to do.

    Attributes:
        steps: what to do, in order.
    """

    def __init__(self, message: str, steps: tuple[str, ...]):
        numbered = "; ".join(
            f"({i}) {step}" for i, step in enumerate(steps, 1)
        )
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
                return _fetch_from(
                    what, place, root, keep, progress, say, options)
            except RsirError as error:
                reasons.append(f"{place.kind}: {error}")
                say(f"that failed: {error}")
        folder = root / name
        steps = tuple(
            step.format(folder=folder)
            for s in what.sources if s.kind == "manual"
            for step in s.steps
        )
        raise ManualSteps(
            f"{name} could not be fetched ({' | '.join(reasons)})", steps
        )


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
            f"another fetch is at work in {root}; wait until it is "
            "done"
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
    bring = {"hub": _from_hub, "https": _from_https,
             "drive": _from_drive}[place.kind]
    files = bring(place, store, ledger, progress, say, options)
    say("unpacking")
    for left in root.glob(f".{what.name}-*"):   # by a killed fetch
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(
        prefix=f".{what.name}-", dir=root
    ) as aside:
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
    say(f"{what.name} is in {folder}; now run: rsir data verify "
        f"{what.name}")
    return folder


def _from_https(place, store, ledger, progress, say, options):
    sums = place.sha256 or (None,) * len(place.files)
    return [
        ("", retrieve(url, store / name, ledger, sha256=digest,
                      show=progress, **options))
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
            from rsir.data.transfer import damage

            store.mkdir(parents=True, exist_ok=True)
            try:
                gdown.download(
                    url=url, output=str(part), quiet=not progress,
                    resume=True,
                )
            except Exception as error:
                raise RsirError(
                    f"Google Drive refused {name}: "
                    f"{' '.join(str(error).split())[:200]}"
                ) from None
            problem = (damage(part, name) if part.exists()
                       else "nothing arrived")
            if problem:
                part.unlink(missing_ok=True)
                raise RsirError(
                    f"Google Drive did not bring a whole {name}: "
                    f"{problem}"
                )
            os.replace(part, output_file)

        return download

    sums = place.sha256 or (None,) * len(place.files)
    return [
        ("", retrieve(
            f"https://drive.google.com/uc?id={key}", store / name,
            ledger, sha256=digest, downloader=bring(name),
        ))
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
            f"{repository}: asked for revision {revision}, the hub "
            f"answers with {sha}"
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
            raise RsirError(
                f"{repository}: {path} tells no split by its name"
            )
        files.append((
            SPLIT_ALIASES[stem], retrieve(
                f"{base}/datasets/{repository}/resolve/{sha}/{path}",
                store / path.replace("/", "_"), ledger,
                key=f"{key}@{sha}/{path}",
                sha256=(item.get("lfs") or {}).get("sha256"),
                show=progress, **options,
            ),
        ))
    have = {split for split, _ in files}
    if have != {"train", "val", "test"}:
        raise RsirError(
            f"{repository} has parquet files for "
            f"{', '.join(sorted(have)) or 'no split'} only"
        )
    return sorted(
        files, key=lambda f: ("train", "val", "test").index(f[0])
    )


def _hub_listing(base: str, repository: str, revision: str) -> dict:
    import requests

    url = f"{base}/api/datasets/{repository}/revision/{revision}"
    try:
        answer = requests.get(
            url, params={"blobs": "true"}, timeout=30)
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
