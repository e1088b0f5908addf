"""An index over a folder of pictures, killed and taken up again."""

import csv
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import TinyEncoder

from rsir.models import Config
from rsir.models.cross_encoder import CrossEncoder
from rsir.retrieval import index as room
from rsir.retrieval.index import build_folder, fingerprint, search_folder
from rsir.utils.errors import RsirError


class Words:
    """Stands for a text encoder: every sentence is red."""

    vocabulary = {"red", "roof"}

    def tokenize(self, sentences):
        return torch.tensor([[len(s)] for s in sentences])


class Mean(CrossEncoder):
    """A picture is its mean colour, a sentence is red."""

    reads = ("pooled",)

    def __init__(self, seed=0, code=False):
        super().__init__(TinyEncoder(seed=seed), Words(), Config())
        self.code = code
        self.seen = 0

    def image_features(self, images):
        self.seen += len(images)
        return {"pooled": images.mean((2, 3))}

    def encode_images(self, features):
        v = features["pooled"] - features["pooled"].mean(1)[:, None]
        return {"code": v.repeat(1, 8).sign()} if self.code else {"v": v}

    def text_features(self, inputs):
        return {"pooled": torch.tensor([[1.0, 0.0, 0.0]])}

    def encode_texts(self, features):
        t = features["pooled"] - 0.5
        mask = torch.ones(len(t), 1, dtype=torch.bool)
        side = {"code": t.repeat(1, 8).sign()} if self.code else {"t": t}
        return side | {"text_mask": mask}

    def score_pairs(self, images, texts, pairs):
        return -images["v"][pairs[:, 0], 0]  # the least red first


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "own"
    for i in range(70):
        path = folder / f"area {i % 3}" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40), (3 * i, 100, 100)).save(path)
    (folder / "notes.txt").write_text("no picture")
    return folder


@pytest.fixture
def model():
    return Mean().eval()


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(room, "BATCH", 8)


def build(model, folder, **more):
    """The index, and how many pictures were read for it."""
    model.seen = 0
    index = build_folder(model, folder, progress=False, **more)
    return index, model.seen - 1  # one is a probe


def names(model, folder, k=70, **more):
    return [hit.path.name for hit in search_folder(model, folder, "red", k, **more)]


def new_picture(folder, name, colour=(255, 0, 0)):
    Image.new("RGB", (40, 40), colour).save(str(folder / "area 1" / name))


def test_own_pictures_are_found_best_first(pictures, model):
    index, _ = build(model, pictures)
    assert len(index) == 70 and index.kind == "flat"
    hits = search_folder(model, pictures, "red", k=4)
    assert hits[0].path.name == "69.png"
    assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)
    ten = names(model, pictures, 20)
    assert names(model, pictures, 2, fine=20) == ten[::-1][:2]
    same = search_folder(model, pictures, k=2, like=pictures / "area 1" / "40.png")
    assert same[0].path.name == "40.png" and same[0].score == pytest.approx(1)
    with pytest.raises(RsirError, match="--fine reads a sentence"):
        search_folder(model, pictures, like=pictures / "area 1" / "40.png", fine=9)


def test_codes_get_a_binary_index(pictures):
    coded = Mean(code=True).eval()
    index, _ = build(coded, pictures)
    assert index.kind == "binary-flat" and index.width == 24
    with pytest.raises(RsirError, match="gives codes"):
        build(coded, pictures, kind="hnsw")


def killed_after(model, monkeypatch, pictures, parts):
    """A build that dies in the middle of writing a part."""
    save = room._save_part

    def dying(home, *rest):
        if len(list(home.glob("part-*.npz"))) == parts:
            (home / "part-000099.npz").write_bytes(b"PK\3\4 and no more")
            raise KeyboardInterrupt
        save(home, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(room, "_save_part", dying)
        with pytest.raises(KeyboardInterrupt):
            build(model, pictures)


def test_a_killed_build_goes_on(pictures, model, monkeypatch, tmp_path):
    whole = shutil.copytree(pictures, tmp_path / "whole")
    want, _ = build(model, whole)
    killed_after(model, monkeypatch, pictures, parts=3)
    with pytest.raises(RsirError, match="no index here"):
        search_folder(model, pictures, "red")
    got, read = build(model, pictures)
    assert read == 70 - 3 * 8
    query = np.array([[1.0, -0.5, -0.5]])
    for a, b in zip(got.search(query, 70), want.search(query, 70)):
        assert np.array_equal(a, b)
    assert not list((pictures / room.HOME).glob("part-*"))
    assert sorted(names(model, pictures)) == sorted(f"{i}.png" for i in range(70))


def test_new_pictures_are_read_and_nothing_else(pictures, model):
    build(model, pictures)
    new_picture(pictures, "new.png")
    with pytest.raises(RsirError, match="come, gone or changed"):
        names(model, pictures)
    assert build(model, pictures)[1] == 1
    assert names(model, pictures, 1) == ["new.png"]
    (pictures / "area 1" / "new.png").rename(pictures / "moved.png")
    assert build(model, pictures)[1] == 0
    (pictures / "moved.png").unlink()
    with pytest.raises(RsirError, match="come, gone or changed"):
        names(model, pictures)


def test_another_model_is_refused_and_reads_all_again(pictures, model):
    other = Mean(seed=1).eval()
    assert fingerprint(model) != fingerprint(other)
    build(model, pictures)
    with pytest.raises(RsirError, match="another model"):
        names(other, pictures)
    assert build(other, pictures)[1] == 70
    names(other, pictures)
    with pytest.raises(RsirError, match="another model"):
        names(model, pictures)


def test_damage_is_read_again_and_never_believed(pictures, model):
    build(model, pictures)
    want = search_folder(model, pictures, "red", 70)
    path = pictures / room.HOME / "pictures.index"
    raw = path.read_bytes()
    for a, b in ((0, len(raw)), (-30, -1), (2500, 2599), (-3000, -2901)):
        path.write_bytes(raw[:a] + bytes(b - a) + raw[b:])
        build(model, pictures)
        assert search_folder(model, pictures, "red", 70) == want


def test_a_nan_is_the_models_fault(pictures, model):
    model.encode_images = lambda f: {
        "v": f["pooled"] * (np.nan if model.seen > 1 else 1)
    }
    with pytest.raises(RsirError, match="png: the model makes a NaN"):
        build(model, pictures)


def spoil(folder):
    """Three bad pictures in three ways; their names."""
    whole = (folder / "area 1" / "1.png").read_bytes()
    (folder / "half.png").write_bytes(whole[: len(whole) // 2])
    (folder / "text.jpg").write_bytes(b"not a picture")
    (folder / "gone.png").symlink_to(folder / "nothing")
    return ["gone.png", "half.png", "text.jpg"]


def test_bad_pictures_are_left_out_and_listed(pictures, model):
    bad = spoil(pictures)
    index, read = build(model, pictures)
    assert (len(index), read) == (70, 70)
    table = pictures / room.HOME / "skipped.csv"
    with open(table, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == bad
    assert all(name in row["cause"] for name, row in zip(bad, rows))
    assert len(names(model, pictures, 99)) == 70
    with pytest.raises(RsirError, match=r"3 of 73 pictures .*skipped.csv; the first"):
        build(model, pictures, strict=True)
    new_picture(pictures, "../half.png")  # repaired
    with pytest.raises(RsirError, match="changed since"):
        names(model, pictures)
    assert build(model, pictures)[1] == 1
    for name in bad:
        (pictures / name).unlink()
    build(model, pictures)
    assert not table.exists()


def test_the_command_builds_and_searches(pictures, model, monkeypatch, called):
    monkeypatch.setattr("rsir.cli.index.model_of", lambda *_: model)
    spoil(pictures)
    code, said, _ = called("index", "build", pictures)
    assert code == 0 and "70 pictures" in said and "reading 72 new of 73" in said
    where = pictures / room.HOME / "skipped.csv"
    assert said.splitlines()[-1] == f"3 of 73 pictures were left out, see {where}"
    assert called("index", "build", pictures, "--strict")[0] == 2
    head, *rows = called("index", "search", pictures, "red", "--k", 3)[1].splitlines()
    assert head.split() == ["rank", "score", "picture"]
    assert [r.split()[0] for r in rows] == ["1", "2", "3"]
    assert all(str(pictures) in r for r in rows)
    like = pictures / "area 1" / "40.png"
    said = called("index", "search", pictures, "--like", like, "--json")[1]
    assert json.loads(said)[0]["picture"] == str(like)
    new_picture(pictures, "caf\udce9.png")  # a name that is no UTF-8
    called("index", "build", pictures)
    assert "caf\\udce9.png" in called("index", "search", pictures, "red")[1]


def test_wrong_words_are_one_line_and_code_2(tmp_path, model, monkeypatch, called):
    monkeypatch.setattr("rsir.cli.index.model_of", lambda *_: model)
    folder, taken = tmp_path / "one", tmp_path / "taken"
    folder.mkdir()
    taken.write_text("a file")
    Image.new("RGB", (40, 40)).save(folder / "a.png")
    (tmp_path / "empty").mkdir()
    for words, says in (
        (["build", tmp_path / "none"], "no such folder"),
        (["build", tmp_path / "empty"], "no pictures"),
        (["build", folder, "--kind", "lsh"], "kind 'lsh'"),
        (["build", folder, "--index", taken], "cannot be written there"),
        (["search", folder, " "], "the sentence is empty"),
        (["search", folder, "red", "--like", "a.png"], "not both"),
        (["search", folder, "red"], "no index here"),
    ):
        code, out, err = called("index", *words)
        assert code == 2 and says in err and err.count("\n") == 1, (words, err)
