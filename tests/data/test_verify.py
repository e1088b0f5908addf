"""What verify says of a folder, and the commands that print it."""

from dataclasses import replace

import pytest
from small_data import NAMES, karpathy, picture, run, table, tiles, write

from rsir.data import catalog
from rsir.data.readers import parse_karpathy
from rsir.data.verify import record_hashes, verify
from rsir.utils.errors import RsirError


@pytest.fixture(autouse=True)
def small_catalogue(rsicd, monkeypatch):
    """RSICD with the counts and hashes of the small one."""
    hashes = record_hashes(parse_karpathy(rsicd / "dataset_rsicd.json"))
    facts = {"images": 10, "captions": 50, "splits": (6, 2, 2), "pixels": "8x8"}
    known = (([6, 2, 2], "the small counts"),)
    small = replace(catalog.CATALOG["rsicd"], hashes=hashes, known=known, **facts)
    monkeypatch.setitem(catalog.CATALOG, "rsicd", small)


def test_the_official_split(rsicd):
    seen = verify("rsicd", rsicd)
    assert seen.ok and not seen.repairs
    assert {state for _, _, state in seen.hashes} == {"same"}
    assert seen.identity.startswith("test is the official list")
    assert "official train list" in seen.identity
    assert "the small counts" in seen.identity
    assert any("10 of 10 images" in note for note in seen.notes)
    assert "sizes in pixels: 8x8 (10)" in seen.notes


def test_the_same_from_text_files(rsicd):
    data = karpathy()["images"]
    for part, times in (("train", 1), ("test", 5)):
        mine = [d for d in data if (d["split"] == "test") == (part == "test")]
        names = "".join(f"{d['filename']}\n" * times for d in mine)
        caps = "".join(s["raw"] + "\n" for d in mine for s in d["sentences"])
        (rsicd / f"{part}_filename.txt").write_text(names)
        (rsicd / f"{part}_caps.txt").write_text(caps)
    (rsicd / "dataset_rsicd.json").unlink()
    seen = verify("rsicd", rsicd)
    assert seen.layout == "precomp"
    assert {state for _, _, state in seen.hashes} == {"same"}


def test_another_order(rsicd):
    data = karpathy()
    data["images"][8:] = data["images"][8:][::-1]
    write(rsicd, data)
    assert "NOT the official list" in verify("rsicd", rsicd).identity


def test_what_is_wrong_is_listed(rsicd):
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
    assert "00001.jpg" in text and "1 of 10 pictures" in text
    assert "1 blank captions" in seen.repairs[0]
    notes = "\n".join(seen.notes)
    assert "train/beach_1.jpg = val/school_1.jpg" in notes
    assert "5 stand in train word for word" in notes


@pytest.mark.parametrize("named", [True, False])
def test_captions_of_one_set_beside_pictures_of_another(rsicd, named):
    """Numbered names fit any set: sizes and counts tell, whatever the folder."""
    for i, name in enumerate([*NAMES, "extra_1", "extra_2"]):
        picture(rsicd / "RSICD_images" / f"{name}.jpg", i, 16)
    own = rsicd.rename(rsicd.with_name("my pictures"))
    seen = verify("rsicd", own) if named else verify(own)
    first, second = seen.problems
    assert "10 pictures are of another size" in first
    assert "2 of 12 pictures" in second and "extra_1.jpg" in second


def test_options_of_the_reader(rsicd, tmp_path):
    (rsicd / "RSICD_images").rename(tmp_path / "elsewhere")
    seen = verify("rsicd", rsicd, decode=False, images=tmp_path / "elsewhere")
    assert seen.ok and not any("can be read" in n for n in seen.notes)


def test_when_the_reader_refuses(rsicd):
    (rsicd / "RSICD_images" / "pond_1.jpg").unlink()
    seen = verify("rsicd", rsicd)
    assert not seen.ok and "pond_1.jpg" in seen.problems[0]
    assert seen.splits is None and "cannot be told" in seen.identity
    with pytest.raises(RsirError, match="drawn by rsir itself"):
        verify("toy")


def test_command_list(rsicd):
    text, error = run("list", "--root", rsicd.parent)
    assert error is None
    for word in ("toy", "rsicd", "rsitmd", "10", "hub", "manual"):
        assert word in text


def test_command_verify(rsicd):
    text, error = run("verify", "rsicd", "--root", rsicd)
    assert error is None and "all is well" in text
    assert "test is the official list" in text
    (rsicd / "RSICD_images" / "pond_1.jpg").write_bytes(b"")
    text, error = run("verify", "rsicd", "--root", rsicd)
    assert "problem: image" in text and "pond_1.jpg" in text
    assert isinstance(error, RsirError) and "1 problem(s);" in str(error)


def test_command_verify_on_a_folder(tmp_path):
    folder = tmp_path / "own"
    tiles(folder, 4)
    table(folder, [[f"{i}.png", f"view {i}", "test"] for i in range(3)])
    text, error = run("verify", folder)
    assert error is None and "own (folder)" in text and "all is well" in text
    assert "note: train is empty" in text
    assert "1 of 4 pictures" in text and "3.png" in text
    text, error = run("verify", folder, "--bands", "5,1,1")
    assert "no band 5" in text and "3 problem(s)" in str(error)
