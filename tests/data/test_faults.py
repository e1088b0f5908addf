"""Every fault of the files: an error that names it, or a repair."""

import json
import warnings
from pathlib import Path

import pytest
from small_data import NAMES, karpathy, picture, sentences, table, tiles, write

from rsir.data import DataRepairWarning, load_dataset, open_image
from rsir.utils.errors import RsirError


def refused(*arguments, match, **options):
    with pytest.raises(RsirError, match=match) as caught:
        load_dataset(*arguments, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "at, change, message",
    [  # a change to None removes the key
        (3, {"split": None}, r"images\[3\].*'split'"),
        (3, {"filename": None}, "no text under 'filename'"),
        (3, {"sentences": None}, "no list under 'sentences'"),
        (3, {"filename": " "}, "names no image"),
        (3, {"split": "exam"}, "split 'exam'"),
        (3, {"sentences": [{"raw": "a"}, {}]}, r"sentences\[1\]"),
        (3, {"sentences": [{"raw": "a"}] * 4}, "has 4 captions, not 5"),
        (3, {"sentences": []}, "has 0 captions"),
        (3, {"filename": "airport_1.jpg"}, r"images\[3\].*listed twice.*\[0\]"),
        (9, {"filename": "airport_1.jpg"}, "in two splits, train and test"),
        (9, {"filename": "airport_1.tif"}, "one and the same file"),
        (9, {"filename": "lost.jpg"}, "1 of 10 images .* missing: lost.jpg"),
        (None, {"images": None}, "no list under 'images'"),
        (None, {"images": {}}, "no list under 'images'"),
        (None, {"images": []}, "lists no images"),
        (None, {"dataset": "ucm"}, "'ucm' by its own words"),
        (None, {"images": karpathy()["images"][:8]}, "test split is empty"),
    ],
)
def test_faults_of_a_json(rsicd, at, change, message):
    data = karpathy()
    item = data if at is None else data["images"][at]
    item |= change
    for key in [key for key, value in change.items() if value is None]:
        del item[key]
    write(rsicd, data)
    refused("rsicd", rsicd, match=message)


def test_count_is_free_on_request(rsicd):
    data = karpathy()
    data["images"][3]["sentences"].pop()
    write(rsicd, data)
    s = load_dataset("rsicd", rsicd, captions_per_image=None)
    assert s.train.counts().tolist() == [5, 5, 5, 4, 5, 5]


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "is not JSON"),
        (json.dumps(karpathy())[:-40], "is not JSON .*cut off"),
        ("[1]", "no list under 'images', it is a list"),
        ('{"images": [3]}', r"images\[0\] has no text .* it is 3"),
        ("[" * 100_000, "is not JSON"),
        ("\xff", "not UTF-8"),
    ],
)
def test_not_the_json_we_want(rsicd, text, message):
    (rsicd / "dataset_rsicd.json").write_bytes(text.encode("latin-1"))
    refused("rsicd", rsicd, match=message)


def test_blank_captions_are_filled_and_said(rsicd):
    data = karpathy()
    for k in range(5):
        data["images"][4]["sentences"][k]["raw"] = "" if k else " \t"
    data["images"][5]["sentences"][2]["raw"] = ""
    write(rsicd, data)
    with pytest.warns(DataRepairWarning) as caught:
        s = load_dataset("rsicd", rsicd)
    [text] = [str(one.message) for one in caught]
    assert "6 blank captions in 2 images" in text and "pond_1" in text
    assert caught[0].filename == __file__
    assert s.train.captions_of(4) == ["."] * 5
    one, blank, three = s.train.captions_of(5)[1:4]
    assert (one[-3:], blank, three[-3:]) == ("1 .", ".", "3 .")
    assert (s.train.counts() == 5).all()


def test_wordless_captions_stay_and_are_counted(rsicd):
    data = karpathy()
    data["images"][4]["sentences"][0]["raw"] = "."
    data["images"][5]["sentences"][2]["raw"] = "1 ."
    write(rsicd, data)
    with pytest.warns(DataRepairWarning, match="2 captions hold no word"):
        s = load_dataset("rsicd", rsicd)
    assert s.train.captions_of(5)[2] == "1 ."


def test_clean_data_warns_of_nothing(rsicd, precomp):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_dataset("rsicd", rsicd)
        load_dataset("rsitmd", precomp)


@pytest.mark.parametrize(
    "name, change, message",
    [
        ("test_caps.txt", lambda t: t + "one more\n", "11 lines.*10"),
        ("train_caps.txt", lambda t: t.split("\n", 1)[1], "39 lines .* 8; expected 5"),
        ("train_filename.txt", lambda t: "\n" + t, "line 1 is blank"),
        ("train_filename.txt", lambda t: "", "line 1 is blank"),
        ("test_filename.txt", lambda t: t.replace("00002", "pond_1"), "in two splits"),
        ("test_filename.txt", lambda t: t.replace("00002", "lost"), "lost.tif"),
        ("test_caps.txt", None, "test_caps.txt"),
    ],
)
def test_faults_of_precomp(precomp, name, change, message):
    path = precomp / name
    text = path.read_text()
    path.unlink()
    if change:
        path.write_text(change(text))
    refused("rsitmd", precomp, match=message)


def test_blank_lines_of_precomp(precomp):
    path = precomp / "train_caps.txt"
    lines = path.read_text().split("\n")
    lines[5:10] = [""] * 5
    path.write_text("\r\n".join(lines))
    with pytest.warns(DataRepairWarning, match="5 blank.*airport_2"):
        s = load_dataset("rsitmd", precomp)
    both = {p.ids[i]: p.captions_of(i) for p in (s.train, s.val) for i in range(len(p))}
    assert both["airport_2.tif"] == ["."] * 5
    assert both["beach_1.tif"] == sentences("beach_1")


def test_unreadable_pictures(rsicd):
    (rsicd / "RSICD_images" / "pond_1.jpg").write_bytes(b"torn")
    load_dataset("rsicd", rsicd)
    refused("rsicd", rsicd, verify=True, match="1 of 10 images.*pond_1.jpg")


@pytest.mark.parametrize(
    "text, message",
    [
        ("name,caption\na,b\n", "no column 'filename'"),
        ("filename;text\na;b\n", "no column 'caption'.*semicolon, tab or bar"),
        ("", "no column 'filename'"),
        ("filename,caption\nairport_1,a, b\n", "line 2 has 3 fields"),
        ("filename,caption\nairport_1;a\n", "line 2 has 1 fields.*separator is ','"),
        ("filename,caption\n,b\n", "line 2 names no image"),
        ('filename,caption\nairport_1,"b\n', "is not CSV"),
        ("filename,caption,split\nairport_1,b,extra\n", "split 'extra'"),
        (
            "filename,caption,split\npond_1,b,val\npond_1,c,test\n",
            "line 3.* val and test, .* line 2",
        ),
        ("filename,caption\n", "lists no images"),
        ("filename,caption\npond_1,b\npond_2,b\n", "2 images, .* too few"),
        ("filename,caption,split\npond_1,b,train\n", "too few to cut"),
        ("filename,caption,split\npond_1,b,val\n", "test split is empty"),
        ("filename,caption\npond_1,nan\n", "line 2.*empty cell.*dropna"),
        ("filename;caption\npond_1;['a', 'b']\n", "line 2.*a list or .* as text"),
        ('filename,caption\npond_1,"[""a""]"\n', "a list or .* as text"),
        ("filename,caption\na/other.png,a b\n", "1 of 1 images.*a/other.png"),
    ],
)
def test_faults_of_a_csv(tmp_path, text, message):
    for n in NAMES:
        picture(tmp_path / f"{n}.png")
    picture(tmp_path / "b" / "other.png")
    (tmp_path / "captions.csv").write_text(text)
    refused(tmp_path, match=message)


@pytest.mark.parametrize(
    "text", ["[the road] is wet", "'a' and 'b'", "(a road)", "none of them"]
)
def test_captions_that_only_look_odd(tmp_path, text):
    tiles(tmp_path, 3)
    table(tmp_path, [[f"{i}.png", text] for i in range(3)], "filename,caption")
    assert load_dataset(tmp_path).test.captions == (text,)


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("captions.json", {"images": [], "annotations": []}, "COCO JSON.*from_pairs"),
        ("captions_train.json", {"images": [], "annotations": []}, "COCO JSON"),
        ("dataset.json", {"images": [], "annotations": []}, "COCO JSON"),
        ("dataset_nwpu.json", {"lake": [{"raw": "a", "filename": "b"}]}, "NWPU"),
        ("nwpu.json", {"lake": [{"raw": "a", "filename": "b"}]}, "NWPU"),
        ("any.json", [{"image": "a"}], "any.json, a list"),
        ("x_test.json", [{"image": "a"}], r"\[0\] has no text .*'caption'"),
        (
            "x_test.json",
            [{"image": "a", "caption": [3]}],
            "no text under 'caption', it is 3",
        ),
        ("x_test.json", [{"image": "", "caption": "b"}], "names no image"),
        ("pairs.jsonl", {}, "JSON lines"),
        ("pairs.parquet", {}, "a parquet table"),
        ("deep/captions_train2017.json", {"annotations": []}, "COCO JSON"),
        ("0.txt", {}, "0.txt, a text file"),
        ("results.txt", {}, "results.txt, a text file.* not read"),
    ],
)
def test_another_layout_is_named(tmp_path, name, content, message):
    picture(tmp_path / "0.png")
    (tmp_path / "deep").mkdir()
    write(tmp_path, content, name)
    refused(tmp_path, match=message)


def test_several_tables(tmp_path):
    for name in ("a.csv", "b.tsv"):
        (tmp_path / name).write_text("filename,caption\n")
    refused(tmp_path, match="several CSV files .a.csv, b.tsv")


def test_no_permission(rsicd, monkeypatch):
    def read_bytes(path):
        raise PermissionError(13, "Permission denied", str(path))

    path = load_dataset("rsicd", rsicd).test.images[0]
    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    refused("rsicd", rsicd, match="no permission to read the annotation file .*chmod")
    with pytest.raises(RsirError, match="no permission to read the image .*00001.jpg"):
        open_image(path)
