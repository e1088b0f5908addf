"""From an archive on a server, the hub or Drive to a data set."""

import hashlib
import importlib.util
import io
import json
import sys
import types
import zipfile
from dataclasses import replace

import pytest
from PIL import Image
from small_data import NAMES, karpathy, run
from small_server import Page, serving

from rsir.data import catalog, load_dataset
from rsir.data.download import Ledger, ManualSteps, fetch, unpack, unrar, unzip
from rsir.utils.errors import RsirError

QUICK = {"tries": 2, "wait": 0.0, "timeout": 5.0}


def jpeg(value):
    box = io.BytesIO()
    Image.new("RGB", (8, 8), (20 * value, 0, 0)).save(box, "jpeg")
    return box.getvalue()


def archive(top="", extra=None):
    """The authors' zip of a small RSICD."""
    members = {f"{top}dataset_rsicd.json": json.dumps(karpathy())}
    for i, name in enumerate(NAMES):
        members[f"{top}RSICD_images/{name}.jpg"] = jpeg(i)
    return zipped({**members, **(extra or {})})


def zipped(members):
    box = io.BytesIO()
    with zipfile.ZipFile(box, "w") as file:
        for name, data in members.items():
            file.writestr(name, data)
    return box.getvalue()


@pytest.fixture
def web(monkeypatch):
    with serving() as (address, pages):
        monkeypatch.setenv("HF_ENDPOINT", address)
        yield address, pages


@pytest.fixture
def from_web(web, monkeypatch):
    """RSICD whose one source is a zip on the local server."""
    address, pages = web
    entry = catalog.RSICD
    manual = [s for s in entry.sources if s.kind == "manual"]
    source = catalog.Source("https", "here", (("RSICD.zip", f"{address}/RSICD.zip"),))
    monkeypatch.setitem(
        catalog.CATALOG,
        "rsicd",
        replace(
            entry, sources=(source, *manual), images=10, captions=50, splits=(6, 2, 2)
        ),
    )
    return pages


def test_fetch_and_load(from_web, tmp_path):
    from_web["/RSICD.zip"] = Page(archive(), cut=1)
    said = []
    folder = fetch("rsicd", tmp_path, say=said.append, **QUICK)
    assert folder == tmp_path / "rsicd"
    assert len(load_dataset("rsicd", tmp_path, verify=True).test) == 2
    assert "verify rsicd" in said[-1]
    names = sorted(p.name for p in tmp_path.iterdir())
    assert [n for n in names if n != ".fetch.lock"] == [
        "checksums.json",
        "downloads",
        "rsicd",
    ]
    assert not any((tmp_path / "downloads").iterdir())
    asked = len(from_web["/RSICD.zip"].asked)
    assert fetch("rsicd", tmp_path) == folder
    assert len(from_web["/RSICD.zip"].asked) == asked


def test_a_changed_archive_is_refused_later(from_web, tmp_path):
    from_web["/RSICD.zip"] = Page(archive())
    fetch("rsicd", tmp_path, keep=True, **QUICK)
    store = tmp_path / "downloads" / "rsicd" / "RSICD.zip"
    assert store.exists()
    store.unlink()
    (tmp_path / "rsicd").rename(tmp_path / "away")
    from_web["/RSICD.zip"] = Page(archive(extra={"new.txt": "x"}))
    with pytest.raises(ManualSteps, match="recorded at the first"):
        fetch("rsicd", tmp_path, **QUICK)
    assert not (tmp_path / "rsicd").exists() and not store.exists()


@pytest.mark.parametrize(
    "top, extra",
    [
        ("RSICD_optimal/data/", None),
        ("", {"__MACOSX/._dataset_rsicd.json": "x"}),
    ],
)
def test_folders_in_the_archive(from_web, tmp_path, top, extra):
    from_web["/RSICD.zip"] = Page(archive(top, extra))
    folder = fetch("rsicd", tmp_path, **QUICK)
    assert sorted(p.name for p in folder.iterdir()) == [
        "RSICD_images",
        "dataset_rsicd.json",
    ]


def test_an_archive_in_the_archive(from_web, tmp_path):
    pictures = zipped({f"RSICD_images/{n}.jpg": jpeg(i) for i, n in enumerate(NAMES)})
    from_web["/RSICD.zip"] = Page(
        zipped(
            {"dataset_rsicd.json": json.dumps(karpathy()), "RSICD_images.zip": pictures}
        )
    )
    fetch("rsicd", tmp_path, **QUICK)
    assert len(load_dataset("rsicd", tmp_path).train) == 6


def test_no_source_leads_to_the_manual_steps(from_web, tmp_path):
    with pytest.raises(ManualSteps) as caught:
        fetch("rsicd", tmp_path, **QUICK)
    text = str(caught.value)
    assert "answers 404" in text and "(1) open" in text
    assert str(tmp_path / "rsicd") in " ".join(caught.value.steps)
    assert not (tmp_path / "rsicd").exists()
    assert Ledger(tmp_path).read() == {}


def test_an_archive_without_captions_says_what_it_has(from_web, tmp_path):
    from_web["/RSICD.zip"] = Page(
        zipped({"images/a.jpg": jpeg(1), "pairs_test.csv": "filepath,title\n"})
    )
    with pytest.raises(RsirError, match=r"1 images.*pairs_test\.csv"):
        fetch("rsicd", tmp_path, **QUICK)


@pytest.mark.parametrize(
    "name",
    [
        "../evil.txt",
        "/evil.txt",
        "a/../../evil.txt",
        "C:/evil.txt",
        "..\\evil.txt",
    ],
)
def test_members_that_lead_out(tmp_path, name):
    path = tmp_path / "a.zip"
    path.write_bytes(zipped({"good.txt": "x", name: "x"}))
    with pytest.raises(RsirError, match="not safe.*evil"):
        unzip(path, tmp_path / "in" / "side")
    assert [p.name for p in tmp_path.rglob("*")] == ["a.zip"]


def test_members_that_are_links(tmp_path):
    info = zipfile.ZipInfo("link")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr(info, "/etc")
    with pytest.raises(RsirError, match="is a link"):
        unzip(tmp_path / "a.zip", tmp_path / "in")


def test_a_rar_by_another_name(tmp_path, monkeypatch):
    """A stand-in for bsdtar shows that the tool is called."""
    tool = tmp_path / "bin" / "bsdtar"
    tool.parent.mkdir()
    tool.write_text('#!/bin/sh\necho "$1 $3" > "$4/said"\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:/bin:/usr/bin")
    path = tmp_path / "imgs.zip"
    path.write_bytes(b"Rar!\x1a\x07\x00" + b"x" * 99)
    unpack(path, tmp_path / "out")
    assert (tmp_path / "out" / "said").read_text() == "-xf -C\n"
    tool.write_text("#!/bin/sh\necho torn >&2\nexit 1\n")
    with pytest.raises(RsirError, match=r"bsdtar cannot unpack.*torn"):
        unpack(path, tmp_path / "out")


def test_rar_without_a_tool(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RsirError, match="install one of bsdtar"):
        unrar(tmp_path / "a.rar", tmp_path / "in")


# --- the hub --------------------------------------------------------


class FakeTable:
    """Stands in for pyarrow's ParquetFile on rows kept as JSON."""

    def __init__(self, path):
        self.rows = json.loads(path.read_bytes()[4:-4])
        self.schema_arrow = types.SimpleNamespace(names=sorted(self.rows[0]))

    def iter_batches(self, size):
        for row in self.rows:
            row["image"]["bytes"] = bytes.fromhex(row["image"]["bytes"])
        yield types.SimpleNamespace(to_pylist=lambda: self.rows)


def fake_parquet(rows):
    for row in rows:
        row["image"] = {"bytes": row["image"]["bytes"].hex()}
    return b"PAR1" + json.dumps(rows).encode() + b"PAR1"


def true_parquet(rows):
    import pyarrow as pa
    import pyarrow.parquet as pq

    box = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), box)
    return box.getvalue()


WRITERS = [fake_parquet]
if importlib.util.find_spec("pyarrow"):
    WRITERS.append(true_parquet)


@pytest.fixture(params=WRITERS)
def hub(web, request, monkeypatch):
    """A hub with the small RSICD at revision "abc". Gives pages."""
    if request.param is fake_parquet:
        fake = types.ModuleType("pyarrow.parquet")
        fake.ParquetFile = FakeTable
        package = types.ModuleType("pyarrow")
        package.parquet = fake
        monkeypatch.setitem(sys.modules, "pyarrow", package)
        monkeypatch.setitem(sys.modules, "pyarrow.parquet", fake)
    _, pages = web
    data = karpathy()["images"]
    base = "/datasets/arampacha/rsicd/resolve/abc/"
    siblings = [{"rfilename": "README.md"}]
    for split, title in (("test", "test"), ("train", "train"), ("val", "valid")):
        rows = [
            {
                "filename": f"rsicd_images/{d['filename']}",
                "captions": [s["raw"] for s in d["sentences"]],
                "image": {"bytes": jpeg(i)},
            }
            for i, d in enumerate(data)
            if d["split"] == split
        ]
        body = request.param(rows)
        name = f"data/{title}-00000-of-00001-12ab.parquet"
        pages[base + name] = Page(body)
        siblings.append(
            {"rfilename": name, "lfs": {"sha256": hashlib.sha256(body).hexdigest()}}
        )
    listing = json.dumps({"sha": "abc", "siblings": siblings}).encode()
    pages["/api/datasets/arampacha/rsicd/revision/main"] = Page(listing)
    pages["/api/datasets/arampacha/rsicd/revision/abc"] = Page(listing)
    return pages


def test_hub(hub, tmp_path):
    said = []
    fetch("rsicd", tmp_path, source="hub", say=said.append, **QUICK)
    s = load_dataset("rsicd", tmp_path, verify=True)
    assert [len(p) for p in s] == [6, 2, 2]
    assert s.test.ids == ("00001.jpg", "00002.jpg")
    assert s.val.captions_of(0)[4] == "picture school_1 number 4 ."
    assert "revision abc (recorded)" in said
    noted = Ledger(tmp_path).read()
    assert noted["hub:arampacha/rsicd"]["revision"] == "abc"
    assert sum("parquet" in key for key in noted) == 3


def test_the_recorded_revision_is_asked_for_again(hub, tmp_path):
    fetch("rsicd", tmp_path, source="hub", **QUICK)
    (tmp_path / "rsicd").rename(tmp_path / "away")
    main = hub["/api/datasets/arampacha/rsicd/revision/main"]
    main.content = main.content.replace(b"abc", b"new")
    fetch("rsicd", tmp_path, source="hub", **QUICK)
    assert len(main.asked) == 1


def test_the_hub_serves_a_wrong_file(hub, tmp_path):
    for path in hub:
        if path.endswith(".parquet") and "valid" in path:
            hub[path] = Page(hub[path].content[:60] + b"xPAR1")
    with pytest.raises(RsirError, match="published checksum"):
        fetch("rsicd", tmp_path, source="hub", **QUICK)
    assert not (tmp_path / "rsicd").exists()


def test_hub_without_pyarrow(web, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(RsirError, match="pip install pyarrow"):
        fetch("rsicd", tmp_path, source="hub", **QUICK)


# --- Drive ----------------------------------------------------------


def drive(monkeypatch, bring):
    fake = types.ModuleType("gdown")
    fake.download = bring
    monkeypatch.setitem(sys.modules, "gdown", fake)


def test_drive(tmp_path, monkeypatch):
    asked = []
    data = karpathy(dataset="sydney")
    body = zipped(
        {
            "x/dataset.json": json.dumps(data),
            **{f"x/imgs/{n}.jpg": jpeg(i) for i, n in enumerate(NAMES)},
        }
    )

    def bring(url, output, **options):
        asked.append((url, options["resume"]))
        with open(output, "wb") as file:
            file.write(body)

    drive(monkeypatch, bring)
    fetch("sydney", tmp_path)
    assert asked == [
        ("https://drive.google.com/uc?id=1zAA8qG8FZLCj2t4t9JPgNS48sA2iltaU", True)
    ]
    assert len(load_dataset("sydney", tmp_path).val) == 2


def test_drive_refuses_or_sends_a_page(tmp_path, monkeypatch):
    def page(url, output, **options):
        with open(output, "w") as file:
            file.write("<html><head>Quota exceeded")

    def refuse(url, output, **options):
        raise OSError("too many users have viewed this file")

    for bring, message in ((page, "web page"), (refuse, "too many")):
        drive(monkeypatch, bring)
        with pytest.raises(ManualSteps, match=message):
            fetch("sydney", tmp_path)
    monkeypatch.setitem(sys.modules, "gdown", None)
    with pytest.raises(ManualSteps, match="pip install gdown"):
        fetch("sydney", tmp_path)
    assert not (tmp_path / "sydney").exists()


# --- refusals -------------------------------------------------------


def test_wrong_names_and_places(tmp_path):
    with pytest.raises(RsirError, match="nothing to fetch"):
        fetch("toy", tmp_path)
    with pytest.raises(RsirError, match="there are ucm, rsicd"):
        fetch("coco", tmp_path)
    with pytest.raises(RsirError, match="no source 'ftp'.*hub"):
        fetch("rsicd", tmp_path, source="ftp")
    (tmp_path / "file").write_text("")
    with pytest.raises(RsirError, match="cannot write to the data root"):
        fetch("rsicd", tmp_path / "file" / "below")


def test_two_fetches_at_once(tmp_path):
    from filelock import FileLock

    with (
        FileLock(tmp_path / ".fetch.lock"),
        pytest.raises(RsirError, match="another fetch"),
    ):
        fetch("rsicd", tmp_path)


# --- the command ----------------------------------------------------


def test_command_fetch(from_web, tmp_path):
    from_web["/RSICD.zip"] = Page(archive())
    text, error = run("fetch", "rsicd", "--root", tmp_path)
    assert error is None and "rsicd is in" in text
    assert len(load_dataset("rsicd", tmp_path).train) == 6


def test_command_fetch_by_hand(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gdown", None)
    text, error = run("fetch", "sydney", "--root", tmp_path)
    assert "Get sydney by hand:" in text and "  1. open MEGA" in text
    assert isinstance(error, RsirError) and "steps above" in str(error)
