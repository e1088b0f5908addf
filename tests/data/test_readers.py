"""The layouts, the order they keep, names and roots."""

import numpy as np
import pytest
from alone import alone
from small_data import NAMES, PARTS, karpathy, picture, sentences, table, tiles, write

from rsir.data import PixelOptions, Split, Splits, data_root, load_dataset
from rsir.data.catalog import CATALOG, scene_of
from rsir.utils.errors import RsirError

# --- the authors' layouts ---------------------------------------------


def test_karpathy_keeps_the_order_of_the_file(rsicd):
    s = load_dataset("rsicd", rsicd.parent)
    assert [len(p) for p in s] == [6, 2, 2]
    assert s.test.ids == ("00001.jpg", "00002.jpg")
    assert s.test.captions[5] == "picture 00002 number 0 ."
    assert s.test.owner.tolist() == [0] * 5 + [1] * 5
    assert s.train.labels[:3] == ("airport", "airport", "beach")
    assert s.test.labels is None
    assert s.root == rsicd and s["val"] is s.val
    assert "train" in repr(s) and "30" in repr(s)


def test_root_may_be_the_folder_itself_or_come_from_outside(rsicd, monkeypatch):
    direct = load_dataset("rsicd", rsicd)
    monkeypatch.setenv("RSIR_DATA", str(rsicd.parent))
    assert load_dataset("rsicd").test.captions == direct.test.captions
    monkeypatch.delenv("RSIR_DATA")
    monkeypatch.setenv("RSIR_CACHE", str(rsicd / "cache"))
    assert data_root() == rsicd / "cache" / "data"


def test_precomp_accepts_names_once_or_five_times(precomp):
    s = load_dataset("rsitmd", precomp.parent)
    assert s.test.ids == ("00001.tif", "00002.tif")
    assert s.test.owner.tolist() == [0] * 5 + [1] * 5
    assert len(s.train) + len(s.val) == 8
    for part, times in (("train", 5), ("test", 1)):
        path = precomp / f"{part}_filename.txt"
        names = list(dict.fromkeys(path.read_text().split()))
        path.write_text("".join(f"{n}\n" * times for n in names))
    t = load_dataset("rsitmd", precomp)
    for a, b in zip(s, t, strict=True):
        assert a.captions == b.captions and a.ids == b.ids


def test_val_is_cut_by_image_and_by_seed(precomp):
    a, b, c = (
        load_dataset("rsitmd", precomp, val_fraction=0.25, seed=k) for k in (0, 0, 3)
    )
    assert len(a.val) == 2 and a.val.ids == b.val.ids
    assert len({load_dataset("rsitmd", precomp, seed=k).val.ids for k in range(8)}) > 1
    for s in (a, c):
        assert sorted(s.train.ids + s.val.ids) == sorted(n + ".tif" for n in NAMES[:8])
        for i, name in enumerate(s.val.ids):
            assert s.val.captions_of(i) == sentences(name.removesuffix(".tif"))


def test_val_of_the_file_stands_unless_a_new_cut_is_asked(rsicd):
    s = load_dataset("rsicd", rsicd, seed=5)
    assert s.val.ids == ("school_1.jpg", "school_2.jpg")
    s = load_dataset("rsicd", rsicd, val_fraction=0.5)
    assert len(s.val) == len(s.train) == 4
    assert s.test.ids == ("00001.jpg", "00002.jpg")


def test_rsitmd_keywords_and_no_val(rsicd):
    data = karpathy(parts=["train"] * 8 + ["test"] * 2, dataset="RSITMD")
    for image in data["images"]:
        image["sentences"][0]["keywords"] = ["tree", "road"]
    data["images"][0]["keyword"] = "plane, tree"
    write(rsicd, data, "dataset_RSITMD.json")
    s = load_dataset("rsitmd", rsicd, seed=1)
    assert len(s.val) == 1 and len(s.train) == 7
    both = zip(s.train.ids + s.val.ids, s.train.keywords + s.val.keywords, strict=True)
    words = dict(both)
    assert words["airport_1.jpg"] == ("plane", "tree", "road")
    assert words["beach_1.jpg"] == ("tree", "road")


# --- a reader's own ---------------------------------------------------


def test_own_folder(tmp_path):
    folder = tmp_path / "mine"
    rows = []
    for i, (n, p) in enumerate(zip(NAMES, PARTS, strict=True)):
        picture(folder / "tiles" / f"{n}.png", i)
        rows += [[f"{n}.png", f'"a view, number {k}"', p] for k in range(1 + i % 3)]
    table(folder, rows)
    s = load_dataset(folder)
    assert s.name == s.test.dataset == "mine" and [len(p) for p in s] == [6, 2, 2]
    assert s.train.counts().tolist() == [1, 2, 3, 1, 2, 3]
    assert s.train.captions[0] == "a view, number 0"


def test_own_folder_without_split_column(tmp_path):
    for i, n in enumerate(NAMES):
        picture(tmp_path / f"{n}.png", i)
    rows = "".join(f"{n},view of {n}\n" for n in NAMES)
    (tmp_path / "any.csv").write_text("\ufeffFilename,Caption\n" + rows)
    s = load_dataset(tmp_path, seed=1)
    assert [len(p) for p in s] == [8, 1, 1]
    assert sorted(s.train.ids + s.val.ids + s.test.ids) == sorted(NAMES)
    seeds = {load_dataset(tmp_path, seed=k).test.ids for k in range(9)}
    assert len(seeds) > 2


@pytest.mark.parametrize("names", ["{}", "pond/{}", "/home/me/set/pond/{}"])
def test_csv_beside_an_image_folder(tmp_path, names):
    folder = tmp_path / "images" / ("pond" if "pond" in names else "")
    tiles(folder, 3)
    rows = [[names.format(f"{i}.png"), "x y", p] for i, p in enumerate(PARTS[5::2])]
    table(tmp_path, rows)
    assert load_dataset(tmp_path).test.images == (folder / "2.png",)


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
def test_separators_and_quoted_line_breaks(tmp_path, sign):
    lines = [["filename", "caption", "split"]]
    for i, part in enumerate(("train", "val", "test")):
        picture(tmp_path / f"{i}.png", i)
        lines.append([f"{i}.png", f'"one{sign}\r\ntwo \u2028 {i}"', part])
    text = "\r\n".join(map(sign.join, lines))
    (tmp_path / "captions.csv").write_bytes(text.encode())
    s = load_dataset(tmp_path)
    assert [p.captions for p in s] == [(f"one{sign} two \u2028 {i}",) for i in range(3)]


@pytest.mark.parametrize("caption", [["a", "b\r\nc"], "a"])
@pytest.mark.parametrize("prefix", ["rsicd_", "own-", ""])
def test_a_list_a_split(tmp_path, prefix, caption):
    for part in ("train", "val", "test"):
        rows = [{"image": f"{part}/{i}.jpg", "caption": caption} for i in range(2)]
        for i in range(2):
            picture(tmp_path / "images" / part / f"{i}.jpg", i)
        rows.append({"image": f"{part}/0.jpg", "caption": "again"})
        write(tmp_path, rows, f"{prefix}{part}.json")
    s = load_dataset(tmp_path)
    texts = ["a", "b c"] if isinstance(caption, list) else ["a"]
    for part in s:
        assert part.ids == (f"{part.name}/0.jpg", f"{part.name}/1.jpg")
        assert part.captions_of(0) == [*texts, "again"]
        assert part.captions_of(1) == texts
    if prefix == "rsicd_":
        write(tmp_path, [], "rsitmd_test.json")
        with pytest.raises(RsirError, match="several data sets"):
            load_dataset(tmp_path)
        named = load_dataset("rsicd", tmp_path, captions_per_image=None)
        assert named.test.ids == s.test.ids


@pytest.mark.parametrize(
    "parts, sizes", [(["test"], [0, 0, 4]), (["val", "test"], [0, 2, 2])]
)
def test_a_set_that_is_only_for_testing(tmp_path, parts, sizes):
    tiles(tmp_path, 4)
    rows = [[f"{i}.png", f"view {i}", parts[i % len(parts)]] for i in range(4)]
    table(tmp_path, rows)
    s = load_dataset(tmp_path)
    assert [len(p) for p in s] == sizes
    assert s.train.captions == () and s.train.owner.shape == (0,)
    assert s.train.unique_texts()[0] == [] and len(s.train.digest()) == 16


def test_rows_of_any_source(tmp_path):
    tiles(tmp_path, 3)
    rows = [("1.png", "a"), (tmp_path / "0.png", "b\nc"), ("1.png", "d")]
    s = Split.from_pairs(rows, dataset="mine", name="train", root=tmp_path)
    assert s.images == (tmp_path / "1.png", tmp_path / "0.png") and s.name == "train"
    assert s.captions_of(0) == ["a", "d"] and s.captions_of(1) == ["b c"]
    assert np.asarray(s.open(0)).shape == (8, 8, 3)
    rows = [(f"{i}.png", "a", p) for i, p in enumerate(("training", "test", "val"))]
    splits = Splits.from_pairs(rows, root=tmp_path)
    assert [p.ids for p in splits] == [("0.png",), ("2.png",), ("1.png",)]
    cut = Splits.from_pairs([row[:2] for row in rows], root=tmp_path)
    assert [len(p) for p in cut] == [1, 1, 1]


@pytest.mark.parametrize(
    "rows, message",
    [
        ([("0.png", "a", "test")], "row 0"),
        ([("0.png", float("nan"))], "row 0"),
        ([("0.png", ["a"])], "row 0"),
        ([("9.png", "a")], "1 of 1 images.*9.png"),
        ([], "lists no images"),
        ([("0.png", "nan")], "empty cell"),
    ],
)
def test_rows_that_are_wrong(tmp_path, rows, message):
    picture(tmp_path / "0.png")
    with pytest.raises(RsirError, match=message):
        Split.from_pairs(rows, root=tmp_path)
    with pytest.raises(RsirError, match="some rows have a split"):
        Splits.from_pairs([("0.png", "a"), ("1.png", "a", "test")], root=tmp_path)


def test_pixel_options_stay_with_the_split(tmp_path):
    tiles(tmp_path, 3)
    table(tmp_path, [[f"{i}.png", "a view", p] for i, p in enumerate(PARTS[5::2])])
    plain = load_dataset(tmp_path).test
    assert plain.pixels is None
    s = load_dataset(tmp_path, pixels=PixelOptions(bands=(3, 2, 1)), verify=True).test
    assert np.array_equal(np.asarray(s.open(0)), np.asarray(plain.open(0))[..., ::-1])
    assert s.subset([0]).pixels == s.pixels and s.digest() != plain.digest()
    with pytest.raises(RsirError, match="no band 4"):
        load_dataset(tmp_path, pixels=PixelOptions(bands=(4, 2, 1)), verify=True)
    measured = load_dataset(tmp_path, pixels=PixelOptions.parse(None, "2%,98%"))
    assert measured.test.pixels == PixelOptions()


# --- names and roots --------------------------------------------------


def test_what_is_not_there_tells_how_to_get_it(tmp_path):
    for name, root, message in (
        ("rsidc", None, "toy, ucm, rsicd, rsitmd, sydney"),
        ("ucm", tmp_path, "rsir data fetch ucm"),
        ("ucm", tmp_path / "none", "does not exist"),
        (tmp_path, None, "captions.csv"),
    ):
        with pytest.raises(RsirError, match=message):
            load_dataset(name, root)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"val_part": 0.1}, "unknown option 'val_part'"),
        ({"captions_per_image": 0}, "captions_per_image is 0"),
        ({"captions_per_image": 4}, "has 5 captions, not 4"),
        ({"val_fraction": 0}, "val_fraction is 0"),
        ({"val_fraction": 1}, "val_fraction is 1"),
        ({"val_fraction": -0.5}, "val_fraction is -0.5"),
    ],
)
def test_options_are_checked(rsicd, options, message):
    with pytest.raises(RsirError, match=message):
        load_dataset("rsicd", rsicd, **options)


def test_image_folder_by_option(rsicd, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    (rsicd / "RSICD_images").rename(elsewhere)
    with pytest.raises(RsirError, match="images="):
        load_dataset("rsicd", rsicd)
    s = load_dataset("rsicd", rsicd, images=elsewhere)
    assert s.test.images[0].parent == elsewhere
    with pytest.raises(RsirError, match="image folder not found"):
        load_dataset("rsicd", rsicd, images=tmp_path / "none")
    for name in ("one", "two"):
        picture(rsicd / name / "00001.jpg")
    with pytest.raises(RsirError, match="several folders with images .one, two"):
        load_dataset("rsicd", rsicd)


@pytest.mark.parametrize(
    "name, kinds",
    [
        ("rsicd", {"storagetanks_9.jpg": "storagetanks", "00012.jpg": ""}),
        ("ucm", {"100.tif": "agricultural", "101.tif": "airplane", "2101.tif": ""}),
    ],
)
def test_scene_kinds(name, kinds):
    assert {image: scene_of(name, image) for image in kinds} == kinds


def test_catalogue_adds_up():
    assert list(CATALOG) == ["ucm", "rsicd", "rsitmd", "sydney"]
    for entry in CATALOG.values():
        train, val, test = entry.splits
        assert train + (val or 0) + test == entry.images
        assert entry.captions == 5 * entry.images
        assert all(len(d) == 64 for d in entry.hashes.values())
        assert entry.sources[-1].kind == "manual" and entry.sources[-1].steps


def test_data_imports_no_torch():
    code = (
        "import sys, rsir.data.text, rsir.data.download, rsir.data.verify,"
        "rsir.cli.data; print('torch' in sys.modules)"
    )
    assert alone("-c", code).strip() == "False"
