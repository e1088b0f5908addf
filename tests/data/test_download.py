"""From the hub, Drive or a server to a data set, without the network."""

import hashlib
import io
import json
import shutil
import sys
import types
import zipfile
from dataclasses import replace

import patoolib
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image
from small_data import NAMES, karpathy, run

from rsir.data import catalog, load_dataset
from rsir.data.download import ManualSteps, checksums, fetch, unpack
from rsir.utils.errors import RsirError


def jpeg(value):
    box = io.BytesIO()
    Image.new("RGB", (8, 8), (20 * value, 0, 0)).save(box, "jpeg")
    return box.getvalue()


def zipped(members):
    box = io.BytesIO()
    with zipfile.ZipFile(box, "w") as file:
        for name, data in members.items():
            file.writestr(name, data)
    return box.getvalue()


def archive(top="", dataset="rsicd", **extra):
    """The authors' zip of a small data set."""
    members = {f"{top}dataset_rsicd.json": json.dumps(karpathy(dataset=dataset))}
    for i, name in enumerate(NAMES):
        members[f"{top}RSICD_images/{name}.jpg"] = jpeg(i)
    return zipped({**members, **extra})


GOOD = archive()


@pytest.fixture
def server(tmp_path, monkeypatch):
    """RSICD whose one source, a Drive, has RSICD.zip in the folder given."""
    folder = tmp_path / "server"
    folder.mkdir()
    fake = types.ModuleType("gdown")
    fake.download = lambda output, **_: shutil.copy(folder / "RSICD.zip", output)
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
    [(url, facts)] = checksums(tmp_path).items()
    assert facts["sha256"] == hashlib.sha256(GOOD).hexdigest()
    for name in ("rsicd", "downloads"):
        (tmp_path / name).rename(tmp_path / f"old-{name}")
    before = (tmp_path / "checksums.json").read_bytes()
    (server / "RSICD.zip").write_bytes(archive(note="changed"))
    with pytest.raises(ManualSteps, match="another file than the first"):
        fetch("rsicd", tmp_path)
    assert not (tmp_path / "rsicd").exists()
    assert (tmp_path / "checksums.json").read_bytes() == before
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
    inner = zipped({f"{n}.jpg": jpeg(i) for i, n in enumerate(NAMES)})
    members = {"a/b/dataset_rsicd.json": json.dumps(karpathy())}
    members["a/b/RSICD_images.zip"] = inner
    (server / "RSICD.zip").write_bytes(zipped(members))
    fetch("rsicd", tmp_path)
    assert len(list((tmp_path / "rsicd" / "RSICD_images").iterdir())) == 11
    assert len(load_dataset("rsicd", tmp_path).train) == 6


def test_a_damaged_record_is_not_overwritten(server, tmp_path):
    (tmp_path / "checksums.json").write_text("{")
    with pytest.raises(RsirError, match="not readable as JSON"):
        fetch("rsicd", tmp_path)
    assert (tmp_path / "checksums.json").read_text() == "{"


# --- archives ---------------------------------------------------------

OUT = ["../evil.txt", "/evil.txt", "a/../../evil.txt", "C:/evil.txt", "..\\evil.txt"]


@pytest.mark.parametrize("name", OUT)
def test_members_that_lead_out_of_a_zip(tmp_path, name):
    path = tmp_path / "a.zip"
    path.write_bytes(zipped({"good.txt": "x", name: "x"}))
    with pytest.raises(RsirError, match="not safe.*evil"):
        unpack(path, tmp_path / "in" / "side")
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["a.zip"]


def test_links_that_a_tool_made(tmp_path, monkeypatch):
    def extract(archive, outdir, **options):
        (tmp_path / "out" / "link").symlink_to("/etc")

    monkeypatch.setattr(patoolib, "extract_archive", extract)
    (tmp_path / "a.rar").write_bytes(b"Rar!")
    with pytest.raises(RsirError, match="not safe.*link"):
        unpack(tmp_path / "a.rar", tmp_path / "out")


def test_a_rar_by_another_name(tmp_path, monkeypatch):
    path = tmp_path / "imgs.zip"
    path.write_bytes(b"Rar!\x1a\x07\x00" + b"x" * 99)

    def extract(archive, outdir, **options):
        (tmp_path / "out" / "said").write_text(archive)

    monkeypatch.setattr(patoolib, "extract_archive", extract)
    unpack(path, tmp_path / "out")
    assert (tmp_path / "out" / "said").read_text() == str(path)
    for text, message in (
        ("could not find an executable program", "install unar"),
        ("unrar failed", "cannot unpack.*unrar failed"),
    ):

        def fail(*args, text=text, **options):
            raise patoolib.util.PatoolError(text)

        monkeypatch.setattr(patoolib, "extract_archive", fail)
        with pytest.raises(RsirError, match=message):
            unpack(path, tmp_path / "out")


# --- the hub ----------------------------------------------------------


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub with the small RSICD at revision "abc": its files by name."""
    pages, asked = {}, []
    for split, title in (("test", "test"), ("train", "train"), ("val", "valid")):
        rows = [
            {
                "filename": f"rsicd_images/{d['filename']}",
                "captions": [s["raw"] for s in d["sentences"]],
                "image": {"bytes": jpeg(i)},
            }
            for i, d in enumerate(karpathy()["images"])
            if d["split"] == split
        ]
        box = io.BytesIO()
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), box)
        pages[f"data/{title}-00000-of-00001-12ab.parquet"] = box.getvalue()

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
    assert noted["hub:arampacha/rsicd"]["revision"] == "abc"
    assert sum("parquet" in key for key in noted) == 3
    (tmp_path / "rsicd").rename(tmp_path / "away")
    fetch("rsicd", tmp_path, source="hub")
    assert hub[1] == ["arampacha/rsicd"]  # the second time the record tells


def test_the_hub_serves_what_is_wrong(hub, tmp_path):
    pages, _ = hub
    name = next(k for k in pages if "valid" in k)
    good = pages.pop(name)
    with pytest.raises(RsirError, match="needed for train, val and test each"):
        fetch("rsicd", tmp_path / "a", source="hub")
    pages[name] = good[:60] + b"xPAR1"
    with pytest.raises(RsirError, match="cannot read.*valid"):
        fetch("rsicd", tmp_path / "b", source="hub")
    pages[name] = pages[next(k for k in pages if "test" in k)]
    with pytest.raises(RsirError, match="00001.jpg comes twice"):
        fetch("rsicd", tmp_path / "c", source="hub")
    box = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"filename": ["a"]}), box)
    pages[name] = box.getvalue()
    with pytest.raises(RsirError, match="cannot read.*captions"):
        fetch("rsicd", tmp_path / "d", source="hub")
    pages["\0"] = b""
    with pytest.raises(RsirError, match="the hub did not answer as it should"):
        fetch("rsicd", tmp_path / "e", source="hub")
    assert not list(tmp_path.glob("*/rsicd"))


# --- Drive ------------------------------------------------------------


def test_drive(tmp_path, monkeypatch):
    asked = []
    members = {"x/dataset.json": json.dumps(karpathy(dataset="sydney"))}
    members |= {f"x/imgs/{n}.jpg": jpeg(i) for i, n in enumerate(NAMES)}

    def bring(id, output, quiet, resume):
        asked.append((id, resume))
        with open(output, "wb") as file:
            file.write(zipped(members))

    def page(id, output, **options):
        with open(output, "w") as file:
            file.write("<html><head>Quota exceeded")

    def refuse(id, output, **options):
        raise OSError("too many users have viewed this file")

    fake = types.ModuleType("gdown")
    monkeypatch.setitem(sys.modules, "gdown", fake)
    for fake.download, message in ((page, "web page"), (refuse, "too many users")):
        with pytest.raises(ManualSteps, match=message):
            fetch("sydney", tmp_path)
    fake.download = bring
    fetch("sydney", tmp_path)
    assert asked == [("1zAA8qG8FZLCj2t4t9JPgNS48sA2iltaU", True)]
    assert len(load_dataset("sydney", tmp_path).val) == 2


# --- refusals and the command -----------------------------------------


@pytest.mark.parametrize(
    "name, source, module",
    [
        ("sydney", "drive", "gdown"),
        ("rsicd", "hub", "pyarrow.parquet"),
        ("rsicd", "hub", "huggingface_hub"),
    ],
)
def test_the_extra_is_named(tmp_path, monkeypatch, name, source, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ManualSteps, match=r"pip install 'rsir\[fetch\]'"):
        fetch(name, tmp_path, source=source)


def test_wrong_names_and_places(tmp_path):
    (tmp_path / "file").write_text("")
    for name, root, source, message in (
        ("toy", tmp_path, None, "nothing to fetch"),
        ("coco", tmp_path, None, "there are ucm, rsicd"),
        ("rsicd", tmp_path, "ftp", "no source 'ftp'.*hub"),
        (
            "rsicd",
            tmp_path / "file" / "below",
            None,
            "the data root .* cannot be locked",
        ),
    ):
        with pytest.raises(RsirError, match=message):
            fetch(name, root, source=source)


def test_two_fetches_at_once(tmp_path):
    from filelock import FileLock

    with (
        FileLock(tmp_path / ".fetch.lock"),
        pytest.raises(RsirError, match="another process is at work on the data root"),
    ):
        fetch("rsicd", tmp_path)


def test_command_fetch(server, tmp_path, monkeypatch):
    (server / "RSICD.zip").write_bytes(archive("deep/"))
    text, error = run("fetch", "rsicd", "--root", tmp_path)
    assert error is None and "rsicd is in" in text
    assert len(load_dataset("rsicd", tmp_path).train) == 6
    monkeypatch.setitem(sys.modules, "gdown", None)
    text, error = run("fetch", "sydney", "--root", tmp_path)
    assert "Get sydney by hand:" in text and "  1. open MEGA" in text
    assert isinstance(error, RsirError) and "steps above" in str(error)
    assert "rsir[fetch]" in run("fetch", "--help")[0]
