"""An index over a folder of pictures, killed and taken up again."""

import csv
import json
import os
import shutil
import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import Mean

from rsir.data.images import PixelOptions
from rsir.retrieval import index as room
from rsir.retrieval.index import build_folder, fingerprint, search_folder
from rsir.utils.errors import RsirError
from rsir.utils.io import locked


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
    return Mean()


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


def refused(model, folder, says):
    with pytest.raises(RsirError, match=says):
        names(model, folder)


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
    like = pictures / "area 1" / "40.png"
    same = search_folder(model, pictures, k=2, like=like)
    assert same[0].path == like and same[0].score == pytest.approx(1)
    with pytest.raises(RsirError, match="--fine reads a sentence"):
        search_folder(model, pictures, like=like, fine=9)


def test_codes_get_a_binary_index_and_vectors_may(pictures, model):
    index, _ = build(Mean(code=True), pictures)
    assert index.kind == "binary-flat" and index.width == 24
    model.side = lambda name, vectors: {name: vectors.repeat(1, 8)}
    build(model, pictures, kind="BFlat")
    assert len(names(model, pictures)) == 70


def test_a_killed_build_goes_on(pictures, model, monkeypatch, tmp_path):
    whole = shutil.copytree(pictures, tmp_path / "whole")
    want, _ = build(model, whole)
    save = room._save_part

    def dying(home, *rest):  # in the middle of writing a part
        if len(list(home.glob("part-*.npz"))) == 3:
            (home / "part-000099.npz").write_bytes(b"PK\3\4 and no more")
            raise KeyboardInterrupt
        save(home, *rest)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(room, "_save_part", dying)
        build(model, pictures)
    refused(model, pictures, "no index here")
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
    refused(model, pictures, "come, gone or changed")
    assert build(model, pictures)[1] == 1
    assert names(model, pictures, 1) == ["new.png"]
    (pictures / "area 1" / "new.png").rename(pictures / "moved.png")
    assert build(model, pictures)[1] == 0
    (pictures / "moved.png").unlink()
    refused(model, pictures, "come, gone or changed")


def test_another_model_is_refused_and_reads_all_again(pictures, model):
    other = Mean(seed=1)
    assert fingerprint(model) != fingerprint(other)
    before = fingerprint(other)
    with torch.no_grad():  # as an optimiser does, and back
        weight = next(other.parameters())
        weight.mul_(2)
        assert fingerprint(other) != before
        weight.div_(2)
    assert fingerprint(other) == before
    other.image_encoder.size += 1
    assert fingerprint(other) != before
    other.image_encoder.size -= 1
    build(model, pictures)
    refused(other, pictures, "another model")
    assert build(other, pictures)[1] == 70
    names(other, pictures)
    refused(model, pictures, "another model")


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: None,
        lambda raw: raw[:-30],
        lambda raw: raw[:2500] + bytes(99) + raw[2599:],
        lambda raw: raw[:-3000] + bytes(99) + raw[-2901:],
    ],
)
def test_damage_is_read_again_and_never_believed(pictures, model, damage):
    build(model, pictures)
    want = search_folder(model, pictures, "red", 70)
    path = pictures / room.HOME / "pictures.index"
    raw = damage(path.read_bytes())
    path.unlink() if raw is None else path.write_bytes(raw)
    build(model, pictures)
    assert search_folder(model, pictures, "red", 70) == want


def test_two_builds_do_not_mix(pictures, model):
    with (
        locked(pictures / room.HOME / "lock", "it"),
        pytest.raises(RsirError, match="another process is at work on the index"),
    ):
        build(model, pictures)
    assert len(build(model, pictures)[0]) == 70


def test_a_build_that_cannot_work_keeps_the_old_rows(pictures, model):
    build(model, pictures)
    several, blind = Mean(seed=2), Mean(seed=3)
    several.encode_images = lambda f: {"v": f["pooled"], "gate": f["pooled"]}
    blind.encode_images = lambda f: {"v": f["pooled"] / (blind.seen == 1)}
    for bad, kind, says in (
        (Mean(code=True), "hnsw", "gives codes"),
        (several, None, "more than one vector"),
        (model, "lsh", "kind 'lsh'"),
        (model, "BFlat", "multiple of 8"),
        (blind, None, "png: the model makes a NaN"),
    ):
        with pytest.raises(RsirError, match=says):
            build(bad, pictures, kind=kind)
    assert build(model, pictures)[1] == 0


def test_unchanged_files_are_not_read_to_search(pictures, model, monkeypatch):
    build(model, pictures)
    read, real = [], room.read_bytes
    monkeypatch.setattr(
        room, "read_bytes", lambda path, what: read.append(path) or real(path, what)
    )
    names(model, pictures)
    assert read == []
    new_picture(pictures, "1.png", (9, 9, 9))
    os.utime(pictures / "area 0" / "0.png")  # touched, not changed
    refused(model, pictures, "changed since")
    assert {p.name for p in read} == {"0.png", "1.png"}


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
    refused(model, pictures, "changed since")
    assert build(model, pictures)[1] == 1
    for name in bad:
        (pictures / name).unlink()
    build(model, pictures)
    assert not table.exists()


def test_a_folder_that_cannot_be_listed_is_left_out(pictures, model, monkeypatch):
    walk = os.walk

    def refusing(top, onerror):
        onerror(PermissionError(13, "Permission denied", str(pictures / "locked")))
        return walk(top)

    monkeypatch.setattr(os, "walk", refusing)
    index, _ = build(model, pictures)
    assert [row[0] for row in index.facts["skipped"]] == ["locked"]
    assert "Permission denied" in index.facts["skipped"][0][4]
    assert len(names(model, pictures)) == 70


def test_pixel_options_are_kept_for_the_search(pictures, model, monkeypatch):
    build(model, pictures)
    options = PixelOptions(bands=(3, 2, 1))
    assert build(model, pictures, pixels=options)[1] == 70  # other rows
    seen, real = [], room.open_image
    spy = lambda path, pixels: seen.append(pixels) or real(path)  # noqa: E731
    monkeypatch.setattr(room, "open_image", spy)
    names(model, pictures, like=pictures / "area 1" / "40.png")
    assert seen == [options]


@pytest.mark.parametrize(
    "sentence, says",
    [
        ("of the", "holds no word that says"),
        ("...", "holds no word"),
        ("purple elephants", r"knows none of its words \(purple, elephants\)"),
    ],
)
def test_a_query_that_says_nothing_warns(model, recwarn, sentence, says):
    room.encode_sentence(model, "a purple roof")
    assert not recwarn
    with pytest.warns(UserWarning, match=says):
        room.encode_sentence(model, sentence)


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
    with pytest.warns(UserWarning, match="'elephants': the model knows none") as told:
        called("index", "search", pictures, "elephants")
    shown = warnings.formatwarning(told[0].message, UserWarning, "file.py", 1)
    assert shown.startswith("rsir: warning: query 'elephants'")
    new_picture(pictures, "caf\udce9.png")  # a name that is no UTF-8
    called("index", "build", pictures)
    assert "caf\\udce9.png" in called("index", "search", pictures, "red")[1]


def test_wrong_words_are_one_line_and_code_2(tmp_path, model, monkeypatch, called):
    monkeypatch.setattr("rsir.cli.index.model_of", lambda *_: model)
    folder, bad, empty = (tmp_path / name for name in ("one", "bad", "empty"))
    for path in (folder, bad, empty):
        path.mkdir()
    taken = tmp_path / "taken"
    taken.write_text("a file")
    (bad / "a.png").write_bytes(b"x")
    Image.new("RGB", (40, 40)).save(folder / "a.png")
    for words, says in (
        (["build", tmp_path / "none"], "no such folder"),
        (["build", empty], "no pictures"),
        (["build", bad], "1 of 1 pictures cannot be read"),
        (["build", folder, "--kind", "lsh"], "kind 'lsh'"),
        (["build", folder, "--index", taken], "cannot be locked"),
        (["build", folder, "--index", taken / "below"], "cannot be locked"),
        (["search", folder, " "], "the sentence is empty"),
        (["search", folder, "red", "--like", "a.png"], "not both"),
        (["search", folder, "red"], "no index here"),
    ):
        code, out, err = called("index", *words)
        assert code == 2 and says in err and err.count("\n") == 1, (words, err)
    assert not list(empty.iterdir())
