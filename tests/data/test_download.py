"""From the hub, Drive or a server to a data set, without the network."""

import hashlib
import io
import json
import shutil
import sys
import types
import zipfile
from dataclasses import replace
from pathlib import Path

import patoolib
import pyarrow
import pyarrow.parquet
import pytest
from filelock import FileLock
from PIL import Image
from small_data import NAMES, karpathy, run

from rsir.data import catalog, load_dataset
from rsir.data.download import ManualSteps, checksums, fetch, unpack
from rsir.utils.errors import RsirError


def jpeg(value):
    box = io.BytesIO()
    Image.new("RGB", (8, 8), (20 * value, 0, 0)).save(box, "jpeg")
    return box.getvalue()


PICTURES = {f"{name}.jpg": jpeg(i) for i, name in enumerate(NAMES)}


def zipped(members):
    box = io.BytesIO()
    with zipfile.ZipFile(box, "w") as file:
        for name, data in members.items():
            file.writestr(name, data)
    return box.getvalue()


def archive(top="", **extra):
    """The authors' zip of a small data set."""
    members = {f"{top}RSICD_images/{name}": data for name, data in PICTURES.items()}
    members[f"{top}dataset_rsicd.json"] = json.dumps(karpathy())
    return zipped({**members, **extra})


GOOD = archive()


@pytest.fixture
def server(tmp_path, monkeypatch):
    """RSICD whose one source, a Drive, has RSICD.zip in the folder given."""
    folder = tmp_path / "server"
    folder.mkdir()
    fake = types.ModuleType("gdown")

    def download(id, output, quiet, resume):
        assert (id, quiet, resume) == ("key", True, True)
        shutil.copy(folder / "RSICD.zip", output)

    fake.download = download
    monkeypatch.setitem(sys.modules, "gdown", fake)
    source = catalog.Source("drive", "here", {"RSICD.zip": "key"})
    entry = catalog.CATALOG["rsicd"]
    entry = replace(entry, sources=(source, entry.sources[-1]))
    monkeypatch.setitem(catalog.CATALOG, "rsicd", entry)
    return folder


# --- what holds for all -----------------------------------------------


def test_fetch_and_load(server, tmp_path):
    (server / "RSICD.zip").write_bytes(GOOD)
    said = []
    root = tmp_path / "root"
    folder = fetch("rsicd", root, say=said.append)
    assert folder == root / "rsicd"
    assert len(load_dataset("rsicd", root, verify=True).test) == 2
    assert "verify rsicd" in said[-1]
    names = sorted(p.name for p in root.iterdir() if p.name != ".fetch.lock")
    assert names == ["checksums.json", "downloads", "rsicd"]
    assert not any((root / "downloads").iterdir())
    (server / "RSICD.zip").unlink()
    assert fetch("rsicd", root) == folder  # nothing is asked for again


def test_the_first_checksum_holds_ever_after(server, tmp_path):
    (server / "RSICD.zip").write_bytes(GOOD)
    fetch("rsicd", tmp_path, keep=True)
    assert (tmp_path / "downloads" / "rsicd" / "RSICD.zip").exists()
    before = checksums(tmp_path)
    assert before["drive:key"]["sha256"] == hashlib.sha256(GOOD).hexdigest()
    for name in ("rsicd", "downloads"):
        (tmp_path / name).rename(tmp_path / f"old-{name}")
    (server / "RSICD.zip").write_bytes(archive(note="changed"))
    with pytest.raises(ManualSteps, match="another file than the first"):
        fetch("rsicd", tmp_path)
    assert not (tmp_path / "rsicd").exists() and checksums(tmp_path) == before
    (server / "RSICD.zip").write_bytes(GOOD)
    fetch("rsicd", tmp_path)


@pytest.mark.parametrize(
    "content, message",
    [
        (b"<!DOCTYPE html><title>Sign in</title>", "a web page"),
        (b"PK\3\4" + bytes(99), "cannot unpack"),
        (GOOD[:-50], "cannot unpack"),
        (GOOD.replace(jpeg(3), jpeg(3)[:-9] + b"123456789"), "Bad CRC"),
        (zipped({"a.jpg": jpeg(1), "pairs.csv": "x"}), r"1 images and pairs\.csv"),
        (zipped({"dataset_rsicd.json": "{}"}), "no image folder"),
        (None, "did not bring RSICD.zip"),
    ],
)
def test_a_bad_archive_leaves_nothing(server, tmp_path, content, message):
    if content is not None:
        (server / "RSICD.zip").write_bytes(content)
    with pytest.raises(ManualSteps, match=message) as caught:
        fetch("rsicd", tmp_path / "root")
    assert "(1) open github.com" in str(caught.value)
    if "no image" not in message:
        assert not (tmp_path / "root" / "rsicd").exists()
        assert checksums(tmp_path / "root") == {}


def test_pictures_that_are_there_stay(server, tmp_path):
    (tmp_path / "rsicd" / "RSICD_images").mkdir(parents=True)
    (tmp_path / "rsicd" / "RSICD_images" / "mine.jpg").write_bytes(jpeg(1))
    members = {"a/b/dataset_rsicd.json": json.dumps(karpathy())}
    members["a/b/RSICD_images.zip"] = zipped(PICTURES)
    (server / "RSICD.zip").write_bytes(zipped(members))
    fetch("rsicd", tmp_path)
    assert len(list((tmp_path / "rsicd" / "RSICD_images").iterdir())) == 11
    assert len(load_dataset("rsicd", tmp_path).train) == 6


def test_a_damaged_record_is_not_overwritten(server, tmp_path):
    record = tmp_path / "checksums.json"
    record.write_text("{")
    with pytest.raises(RsirError, match="not readable as JSON"):
        fetch("rsicd", tmp_path)
    assert record.read_text() == "{"


# --- archives ---------------------------------------------------------

OUT = ["../evil.txt", "/evil.txt", "a/../../evil.txt", "C:/evil.txt", "..\\evil.txt"]


@pytest.mark.parametrize("name", OUT)
def test_members_that_lead_out_of_a_zip(tmp_path, name):
    path = tmp_path / "a.zip"
    path.write_bytes(zipped({"good.txt": "x", name: "x"}))
    with pytest.raises(RsirError, match="not safe.*evil"):
        unpack(path, tmp_path / "in" / "side")
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["a.zip"]


@pytest.fixture
def rar(tmp_path, monkeypatch):
    """`rar(extract)` unpacks a rar into out/ by a tool that does this."""
    path = tmp_path / "imgs.zip"  # under another name
    path.write_bytes(b"Rar!\x1a\x07\x00" + b"x" * 99)

    def run_with(extract):
        monkeypatch.setattr(patoolib, "extract_archive", extract)
        unpack(path, tmp_path / "out")
        return tmp_path / "out"

    return run_with


def test_a_rar_and_links_in_it(rar):
    out = rar(lambda archive, outdir, **_: Path(outdir, "said").write_text(archive))
    assert (out / "said").read_text().endswith("imgs.zip")
    with pytest.raises(RsirError, match="not safe.*link"):
        rar(lambda archive, outdir, **_: Path(outdir, "link").symlink_to("/etc"))


@pytest.mark.parametrize(
    "text, message",
    [
        ("could not find an executable program", "install unar"),
        ("unrar failed", "cannot unpack.*unrar failed"),
    ],
)
def test_a_rar_that_no_tool_unpacks(rar, text, message):
    def fail(*args, **options):
        raise patoolib.util.PatoolError(text)

    with pytest.raises(RsirError, match=message):
        rar(fail)


# --- the hub ----------------------------------------------------------


def parquet(rows):
    box = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), box)
    return box.getvalue()


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub with the small RSICD at revision "abc": its files by name."""
    pages, asked = {}, []
    for split, title in (("test", "test"), ("train", "train"), ("val", "valid")):
        rows = [
            {
                "filename": f"rsicd_images/{d['filename']}",
                "captions": [s["raw"] for s in d["sentences"]],
                "image": {"bytes": PICTURES[d["filename"]]},
            }
            for d in karpathy()["images"]
            if d["split"] == split
        ]
        pages[f"data/{title}-00000-of-00001-12ab.parquet"] = parquet(rows)

    class Api:
        def dataset_info(self, repository):
            asked.append(repository)
            return types.SimpleNamespace(sha="abc")

    def download(repository, *, repo_type, revision, allow_patterns, local_dir):
        assert (repository, repo_type) == ("arampacha/rsicd", "dataset")
        assert (revision, allow_patterns) == ("abc", "*.parquet")
        (local_dir / "data").mkdir()
        for name, content in pages.items():
            (local_dir / name).write_bytes(content)

    fake = types.ModuleType("huggingface_hub")
    fake.HfApi, fake.snapshot_download = Api, download
    fake.utils = types.SimpleNamespace(disable_progress_bars=lambda: None)
    monkeypatch.setitem(sys.modules, "huggingface_hub", fake)
    return pages, asked


def test_hub(hub, tmp_path):
    fetch("rsicd", tmp_path, source="hub")
    s = load_dataset("rsicd", tmp_path, verify=True)
    assert [len(p) for p in s] == [6, 2, 2]
    assert s.test.ids == ("00001.jpg", "00002.jpg")
    assert s.val.captions_of(0)[4] == "picture school_1 number 4 ."
    noted = checksums(tmp_path)
    assert noted["hub:arampacha/rsicd"]["revision"] == "abc" and len(noted) == 4
    (tmp_path / "rsicd").rename(tmp_path / "away")
    fetch("rsicd", tmp_path, source="hub")
    assert hub[1] == ["arampacha/rsicd"]  # the second time the record tells


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda good, test: None, "needed for train, val and test each"),
        (lambda good, test: good[:60] + b"xPAR1", "cannot read.*valid"),
        (lambda good, test: test, "00001.jpg comes twice"),
        (lambda good, test: parquet([{"filename": "a"}]), "cannot read.*captions"),
        (lambda good, test: 1, "the hub did not answer as it should"),
    ],
)
def test_the_hub_serves_what_is_wrong(hub, tmp_path, change, message):
    pages, _ = hub
    test, _, valid = pages
    pages[valid] = change(pages[valid], pages[test])
    if pages[valid] is None:
        del pages[valid]
    with pytest.raises(RsirError, match=message):
        fetch("rsicd", tmp_path, source="hub")
    assert not (tmp_path / "rsicd").exists()


# --- refusals and the command -----------------------------------------


@pytest.mark.parametrize(
    "module, source",
    [("gdown", "drive"), ("pyarrow.parquet", "hub"), ("huggingface_hub", "hub")],
)
def test_the_extra_is_named(tmp_path, monkeypatch, module, source):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ManualSteps, match=r"pip install 'rsir\[fetch\]'"):
        fetch("rsicd", tmp_path, source=source)


@pytest.mark.parametrize(
    "name, below, source, message",
    [
        ("toy", ".", None, "nothing to fetch"),
        ("coco", ".", None, "there are ucm, rsicd"),
        ("rsicd", ".", "ftp", "no source 'ftp'.*hub"),
        ("rsicd", "file/below", None, "the data root .* cannot be locked"),
    ],
)
def test_wrong_names_and_places(tmp_path, name, below, source, message):
    (tmp_path / "file").write_text("")
    with pytest.raises(RsirError, match=message):
        fetch(name, tmp_path / below, source=source)


def test_two_fetches_at_once(tmp_path):
    lock = FileLock(tmp_path / ".fetch.lock")
    with lock, pytest.raises(RsirError, match="another process .* the data root"):
        fetch("rsicd", tmp_path)


def test_command_fetch(server, tmp_path, monkeypatch):
    (server / "RSICD.zip").write_bytes(archive("deep/"))
    text, error = run("fetch", "rsicd", "--root", tmp_path, "--quiet")
    assert error is None and "rsicd is in" in text
    assert len(load_dataset("rsicd", tmp_path).train) == 6
    monkeypatch.setitem(sys.modules, "gdown", None)
    text, error = run("fetch", "sydney", "--root", tmp_path)
    assert "Get sydney by hand:" in text and "  1. open MEGA" in text
    assert isinstance(error, RsirError) and "steps above" in str(error)
    assert "rsir[fetch]" in run("fetch", "--help")[0]
