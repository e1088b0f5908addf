"""What verify says of a folder, and the commands that print it."""

from dataclasses import replace

import pytest
from small_data import karpathy, picture, rsicd, run, write

from rsir.data import catalog
from rsir.data.readers import Record
from rsir.data.verify import record_hashes, verify
from rsir.utils.errors import RsirError

__all__ = ["rsicd"]  # fixture


@pytest.fixture
def small_catalogue(monkeypatch):
    """RSICD with the counts and hashes of the small one."""
    records = [
        Record(i["filename"], tuple(s["raw"] for s in i["sentences"]), i["split"], "")
        for i in karpathy()["images"]
    ]
    monkeypatch.setitem(
        catalog.CATALOG,
        "rsicd",
        replace(
            catalog.RSICD,
            images=10,
            captions=50,
            splits=(6, 2, 2),
            hashes=tuple(record_hashes(records).items()),
            known=(((6, 2, 2), "the small counts"),),
        ),
    )


def test_verify_knows_the_official_split(rsicd, small_catalogue):
    seen = verify("rsicd", rsicd)
    assert seen.ok and not seen.repairs
    assert {state for _, _, state in seen.hashes} == {"same"}
    assert seen.identity.startswith("test is the official list")
    assert "official train list" in seen.identity
    assert "the small counts" in seen.identity
    assert any("10 of 10 images" in note for note in seen.notes)


def test_verify_tells_the_same_from_text_files(rsicd, small_catalogue, tmp_path):
    data = karpathy()["images"]
    for part, times in (("train", 1), ("test", 5)):
        mine = [d for d in data if (d["split"] == "test") == (part == "test")]
        (rsicd / f"{part}_filename.txt").write_text(
            "".join(f"{d['filename']}\n" * times for d in mine)
        )
        (rsicd / f"{part}_caps.txt").write_text(
            "".join(s["raw"] + "\n" for d in mine for s in d["sentences"])
        )
    (rsicd / "dataset_rsicd.json").unlink()
    seen = verify("rsicd", rsicd)
    assert seen.layout == "precomp"
    assert {state for _, _, state in seen.hashes} == {"same"}


def test_verify_sees_another_order(rsicd, small_catalogue):
    data = karpathy()
    data["images"][8:] = data["images"][8:][::-1]
    write(rsicd, data)
    seen = verify("rsicd", rsicd)
    assert "NOT the official list" in seen.identity


def test_verify_lists_what_is_wrong(rsicd, small_catalogue):
    data = karpathy()
    data["images"].pop(0)
    data["images"][0]["sentences"][0]["raw"] = ""
    data["images"][8]["sentences"] = data["images"][1]["sentences"]
    write(rsicd, data)
    pictures = rsicd / "RSICD_images"
    (pictures / "00001.jpg").write_bytes(b"torn")
    picture(pictures / "beach_1.jpg", 0)
    picture(pictures / "school_1.jpg", 0)
    seen = verify("rsicd", rsicd)
    text = "\n".join(seen.problems)
    assert "9 images, but RSICD" in text and "45 captions" in text
    assert "00001.jpg" in text
    assert "1 blank captions" in seen.repairs[0]
    notes = "\n".join(seen.notes)
    assert "train/beach_1.jpg = val/school_1.jpg" in notes
    assert "5 stand in train word for word" in notes


def test_verify_takes_the_options_of_the_reader(rsicd, small_catalogue, tmp_path):
    (rsicd / "RSICD_images").rename(tmp_path / "elsewhere")
    seen = verify("rsicd", rsicd, decode=False, images=tmp_path / "elsewhere")
    assert seen.ok and not any("can be read" in n for n in seen.notes)


def test_verify_when_the_reader_refuses(rsicd, small_catalogue):
    (rsicd / "RSICD_images" / "pond_1.jpg").unlink()
    seen = verify("rsicd", rsicd)
    assert not seen.ok and "pond_1.jpg" in seen.problems[0]
    assert seen.splits is None and "cannot be told" in seen.identity


def test_command_list(rsicd):
    text, error = run("list", "--root", rsicd.parent)
    assert error is None
    for word in ("toy", "rsicd", "rsitmd", "10,921", "hub", "manual"):
        assert word in text


def test_command_verify(rsicd, small_catalogue):
    text, error = run("verify", "rsicd", "--root", rsicd)
    assert error is None and "all is well" in text
    assert "test is the official list" in text
    (rsicd / "RSICD_images" / "pond_1.jpg").write_bytes(b"")
    text, error = run("verify", "rsicd", "--root", rsicd)
    assert "problem: image" in text and "pond_1.jpg" in text
    assert isinstance(error, RsirError) and "1 problem;" in str(error)
