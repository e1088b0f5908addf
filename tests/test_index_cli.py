"""`rsir index` over a folder of pictures, killed and taken up again."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from test_cli_core import fails, rsir
from tiny import TinyEncoder, draw

from rsir.models.base import Retriever
from rsir.retrieval import index as folders
from rsir.retrieval.index import (
    Index,
    Journal,
    build_folder,
    fingerprint,
    held,
    search_folder,
)
from rsir.utils.errors import RsirError


class Words:
    """Stands for a text encoder: the colour word is the query."""

    def tokenize(self, sentences):
        return torch.tensor([[len(s)] for s in sentences])


class Mean(Retriever):
    """A picture is its mean colour, a sentence is red. Ours."""

    reads = ("pooled",)

    def __init__(self, seed=0, code=False):
        super().__init__()
        self.image_encoder = TinyEncoder(seed=seed)
        self.text_encoder = Words()
        self.code = code
        self.seen = 0

    def image_features(self, images):
        self.seen += len(images)
        return {"pooled": images.mean((2, 3))}

    def encode_images(self, features):
        v = features["pooled"] - features["pooled"].mean(1)[:, None]
        return {"code": v.repeat(1, 8).sign()} if self.code else {"v": v}

    def text_features(self, ids):
        return {"pooled": torch.tensor([[1.0, 0.0, 0.0]])}

    def encode_texts(self, features):
        t = features["pooled"] - 0.5
        return {"code": t.repeat(1, 8).sign()} if self.code else {"t": t}

    def joint(self, images, texts, pairs):
        return -images["v"][pairs[:, 0], 0]  # the least red first


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "own"
    for i in range(70):
        path = folder / f"area {i % 3}" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        colour = (3 * i, 100, 100)
        Image.new("RGB", (40, 40), colour).save(path)
    (folder / "notes.txt").write_text("no picture")
    return folder


def names(hits):
    return [hit.path.name for hit in hits]


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(folders, "BATCH", 8)


def test_own_pictures_are_found_best_first(pictures):
    model = Mean().eval()
    index = build_folder(model, pictures, progress=False)
    assert len(index) == 70 and index.kind == "flat"
    hits = search_folder(model, pictures, "red", k=4)
    assert names(hits)[0] == "69.png"
    assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)
    fine = search_folder(model, pictures, "red", k=2, fine=5)
    assert names(fine) == names(search_folder(model, pictures, "red", k=5))[::-1][:2]


def test_codes_get_a_binary_index(pictures):
    model = Mean(code=True).eval()
    index = build_folder(model, pictures, progress=False)
    assert index.kind == "binary-flat" and index.width == 24
    with pytest.raises(RsirError, match="gives codes"):
        build_folder(model, pictures, kind="hnsw", progress=False)


def killed_after(model, monkeypatch, pictures, rows):
    """A build that dies in the middle of a batch's writing."""
    append = Journal.append

    def dying(self, pictures, part):
        if len(self.known) >= rows:
            with open(self.rows_path, "ab") as file:  # half a row
                file.write(b"\1\2\3")
            raise KeyboardInterrupt
        append(self, pictures, part)

    monkeypatch.setattr(Journal, "append", dying)
    with pytest.raises(KeyboardInterrupt):
        build_folder(model, pictures, progress=False)
    monkeypatch.setattr(Journal, "append", append)


def test_a_killed_build_goes_on(pictures, monkeypatch, tmp_path):
    whole = shutil.copytree(pictures, tmp_path / "whole")
    want = build_folder(Mean().eval(), whole, progress=False)
    model = Mean().eval()
    killed_after(model, monkeypatch, pictures, rows=24)
    with pytest.raises(RsirError, match="no index here"):
        search_folder(model, pictures, "red")
    assert model.seen == 1 + 32  # the first is always looked at
    got = build_folder(model, pictures, progress=False)
    assert model.seen == 2 + 32 + 70 - 24  # the first 24 are kept
    query = np.array([[1.0, -0.5, -0.5]])
    for a, b in zip(got.search(query, 70), want.search(query, 70)):
        assert np.array_equal(a, b)


def test_a_line_that_a_kill_cut_off_is_dropped(pictures):
    model = Mean().eval()
    build_folder(model, pictures, progress=False)
    path = pictures / folders.HOME / "pictures.jsonl"
    path.write_bytes(path.read_bytes()[:-30])
    model.seen = 0
    assert len(build_folder(model, pictures, progress=False)) == 70
    assert model.seen == 1 + 1
    lines = [json.loads(x) for x in path.read_text().splitlines()]
    assert len({x["name"] for x in lines}) == 70


def test_new_pictures_are_read_and_nothing_else(pictures):
    model = Mean().eval()
    build_folder(model, pictures, progress=False)
    Image.new("RGB", (40, 40), (255, 0, 0)).save(pictures / "area 1" / "new.png")
    with pytest.raises(RsirError, match="come, gone or changed"):
        search_folder(model, pictures, "red")
    model.seen = 0
    build_folder(model, pictures, progress=False)
    assert model.seen == 1 + 1
    assert names(search_folder(model, pictures, "red", k=1)) == ["new.png"]
    (pictures / "area 1" / "new.png").unlink()
    with pytest.raises(RsirError, match="come, gone or changed"):
        search_folder(model, pictures, "red")


def test_another_model_is_refused_and_reads_all_again(pictures):
    model, other = Mean().eval(), Mean(seed=1).eval()
    assert fingerprint(model) != fingerprint(other)
    build_folder(model, pictures, progress=False)
    with pytest.raises(RsirError, match="other model"):
        search_folder(other, pictures, "red")
    build_folder(other, pictures, progress=False)
    assert other.seen == 1 + 70
    search_folder(other, pictures, "red")
    with pytest.raises(RsirError, match="other model"):
        search_folder(model, pictures, "red")


def every_score(model, pictures):
    hits = search_folder(model, pictures, "red", k=70)
    return [(h.path.name, h.score) for h in hits]


@pytest.mark.parametrize(
    "name, damage",
    [
        ("journal.json", lambda raw: None),
        ("journal.json", lambda raw: b"{}"),
        ("journal.json", lambda raw: b"[]"),
        ("rows.bin", lambda raw: None),
        ("rows.bin", lambda raw: raw[:100] + bytes(24) + raw[124:]),
        ("pictures.jsonl", lambda raw: None),
        ("pictures.jsonl", lambda raw: raw[:500] + bytes(9) + raw[509:]),
        ("pictures.jsonl", lambda raw: raw[:500] + b"{}\n" + raw[500:]),
        ("pictures.jsonl", lambda raw: raw + raw.splitlines(True)[0]),
    ],
)
def test_damage_is_read_again_and_never_believed(pictures, name, damage):
    model = Mean().eval()
    build_folder(model, pictures, progress=False)
    want = every_score(model, pictures)
    path = pictures / folders.HOME / name
    raw = damage(path.read_bytes())
    path.unlink() if raw is None else path.write_bytes(raw)
    build_folder(model, pictures, progress=False)
    assert every_score(model, pictures) == want


def test_rows_of_another_model_are_not_taken_without_its_name(pictures):
    """The note of whose rows they are is gone; so are the rows."""
    build_folder(Mean(code=True).eval(), pictures, progress=False)
    (pictures / folders.HOME / "journal.json").unlink()
    other = Mean(seed=1).eval()
    assert build_folder(other, pictures, progress=False).kind == "flat"
    assert other.seen == 1 + 70


def test_two_builds_do_not_mix(pictures):
    home = pictures / folders.HOME
    with held(home), pytest.raises(RsirError, match="another build"):
        build_folder(Mean().eval(), pictures, progress=False)
    assert len(build_folder(Mean().eval(), pictures, progress=False)) == 70


def test_a_build_that_cannot_work_keeps_the_old_rows(pictures):
    model = Mean().eval()
    build_folder(model, pictures, progress=False)
    codes = Mean(code=True).eval()
    with pytest.raises(RsirError, match="gives codes"):
        build_folder(codes, pictures, kind="hnsw", progress=False)
    several = Mean(seed=2).eval()
    several.encode_images = lambda features: {
        "v": features["pooled"],
        "gate": features["pooled"],
    }
    with pytest.raises(RsirError, match="more than one vector"):
        build_folder(several, pictures, progress=False)
    model.seen = 0
    build_folder(model, pictures, progress=False)
    assert model.seen == 1


def test_pictures_that_would_be_misread_are_refused(pictures):
    deep = pictures / "area 1" / "deep.png"
    Image.fromarray(np.full((40, 40), 3000, np.uint16)).save(deep)
    with pytest.raises(RsirError, match="deep.png: mode I;16"):
        build_folder(Mean().eval(), pictures, progress=False)
    deep.unlink()
    model = Mean().eval()
    model.encode_images = lambda features: {"v": features["pooled"] * np.nan}
    with pytest.raises(RsirError, match="0.png: the model makes a NaN"):
        build_folder(model, pictures, progress=False)


def test_unchanged_files_are_not_read_to_search(pictures, monkeypatch):
    model = Mean().eval()
    build_folder(model, pictures, progress=False)
    read = []
    monkeypatch.setattr(
        folders, "image_hashes", lambda paths: read.extend(paths) or ["0"] * len(paths)
    )
    search_folder(model, pictures, "red")
    assert read == []
    Image.new("RGB", (40, 40), (9, 9, 9)).save(pictures / "area 0" / "0.png")
    with pytest.raises(RsirError, match="changed since"):
        search_folder(model, pictures, "red")
    assert [p.name for p in read] == ["0.png"]


def test_names_that_are_no_utf_8_are_kept(pictures, monkeypatch):
    strange = pictures / "area 1" / "caf\udce9.png"
    Image.new("RGB", (40, 40), (255, 0, 0)).save(str(strange))
    model = Mean().eval()
    monkeypatch.setattr("rsir.cli.index.model_of", lambda *_: model)
    rsir("index", "build", pictures)
    said = rsir("index", "search", pictures, "red", "--k", 1)
    assert "caf\\udce9.png" in said


def test_reading_in_parts_with_some_of_its_weight(pictures):
    """More candidates than a batch; the weight is given back."""
    model = Mean().eval()
    model.joint = lambda images, texts, pairs: (
        model.reading * Mean.joint(model, images, texts, pairs)
    )
    model.reading = 0.7
    build_folder(model, pictures, progress=False)
    whole, half = (
        search_folder(model, pictures, "red", k=20, fine=20, reading=r)
        for r in (1.0, 0.5)
    )
    assert names(whole) == names(half)
    assert [h.score for h in half] == [h.score / 2 for h in whole]
    assert model.reading == 0.7


def test_the_command_searches_a_folder(tmp_path, monkeypatch, capsys):
    folder = draw(tmp_path / "squares", sizes=(6, 2, 2))
    model = Mean().eval()
    monkeypatch.setattr("rsir.cli.index.model_of", lambda *_: model)
    said = rsir("index", "build", folder)
    assert "10 pictures" in said and "reading 10 new of 10" in said
    head, *rows = rsir("index", "search", folder, "red", "--k", 3).splitlines()
    assert head.split() == ["rank", "score", "picture"]
    assert [r.split()[0] for r in rows] == ["1", "2", "3"]
    assert all(str(folder) in r for r in rows)

    def says(*words):
        return fails(monkeypatch, capsys, "index", *words)

    assert "no such folder" in says("build", tmp_path / "none")
    (tmp_path / "empty").mkdir()
    assert "no pictures" in says("build", tmp_path / "empty")
    assert "kind 'lsh'" in says("build", folder, "--kind", "lsh")
    taken = tmp_path / "taken"
    taken.write_text("a file")
    for home in (taken, taken / "below"):
        assert "cannot be written there" in says("build", folder, "--index", home)
    assert "the sentence is empty" in says("search", folder, " ")
    (folder / "bad.png").write_bytes(b"x")
    assert "bad.png" in says("build", folder)
    (folder / "bad.png").unlink()
    index = folder / folders.HOME / "pictures.index"
    Index.build("flat", np.eye(3), model="another").save(index)
    assert "other model" in says("search", folder, "red")
