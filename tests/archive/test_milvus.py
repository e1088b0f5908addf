"""The copy on a Milvus server: loaded whole, once, and told if it will not do.

What a search finds is in test_search.py, over the folder and over its copy.
"""

import json
import time

import pytest
from engines import milvus, random_archive  # noqa: F401
from skips import skip_or_fail
from small_scenes import build, ground, model, placed, rows, scene  # noqa: F401
from tiny import Mean

from rsir.archive import milvus as room
from rsir.archive.milvus import Collection, expression, load
from rsir.archive.search import search
from rsir.archive.store import Only, Store, read
from rsir.utils.errors import RsirError

try:
    import pymilvus  # noqa: F401
except ImportError as error:
    skip_or_fail(str(error))

engine = pytest.mark.engine


@pytest.fixture
def url(milvus):
    return milvus.url(f"m{time.time_ns()}")


def ids(place):
    """Ids that a collection holds, each as often as it is there."""
    found = place.client.query(
        place.name, filter="id >= ''", output_fields=["id"], limit=9999,
        consistency_level="Strong",
    )  # fmt: skip
    return sorted(row["id"] for row in found)


def quiet(archive, url):
    return load(archive, url, progress=False)


@engine
def test_a_load_is_whole_and_again_sends_nothing(build, scene, url):
    build(scene)
    assert quiet(build.out, url)[:3] == (35, 35, 0)
    assert quiet(build.out, url)[:3] == (35, 0, 0)
    assert ids(Collection(url)) == sorted(rows(build.out))


@engine
def test_rows_that_the_archive_has_no_more_go(build, scene, model, url):
    build(scene)
    quiet(build.out, url)
    first = set(rows(build.out))
    placed(scene, ground(96, 96, red=[(0, 0)]))  # the scene has changed
    build(scene)
    assert quiet(build.out, url)[:3] == (9, 9, 35)
    assert ids(Collection(url)) == sorted(rows(build.out))
    found = {hit.tile.id for hit in search(model, url, "red", 99)}
    assert found == set(rows(build.out)) and not found & first


@engine
def test_a_load_that_was_stopped_goes_on(url, tmp_path, monkeypatch):
    archive = random_archive(tmp_path / "archive", 900, 16, shards=3)
    monkeypatch.setattr(room, "MESSAGE", 100 * (64 + 1024))
    place, sent = Collection(url), []
    upsert = type(place.client).upsert

    def some(self, name, part, **more):
        if len(sent) == 4:
            raise KeyboardInterrupt
        sent.append(len(part))
        return upsert(self, name, part, **more)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(type(place.client), "upsert", some)
        quiet(archive, url)
    assert sent == [100] * 4
    assert quiet(archive, url)[:3] == (900, 600, 0)  # a whole shard was there
    assert len(ids(place)) == len(set(ids(place))) == 900


@engine
def test_a_server_that_comes_back_has_all(milvus, url, tmp_path):
    name = url.rsplit("/", 1)[-1]
    archive = random_archive(tmp_path / "archive", 500, 16, shards=1)
    quiet(archive, url)
    milvus.kill()
    with pytest.raises(RsirError, match="no Milvus server answers.*milvus-server"):
        Collection(url)
    milvus.start()
    url = milvus.url(name)
    assert quiet(archive, url)[:3] == (500, 0, 0)  # waits until it is ready
    assert len(ids(Collection(url))) == 500


@engine
def test_wrong_collections_are_told(build, scene, model, milvus, url, tmp_path):
    build(scene)
    with pytest.raises(
        RsirError, match=f"no such collection.*rsir index load .* {url}"
    ):
        search(model, url, "red")
    quiet(build.out, url)
    with pytest.raises(RsirError, match="an archive of another model .Mean .*--run"):
        search(Mean(seed=1), url, "red")
    build(scene, out=tmp_path / "other", model=Mean(seed=1))
    build(scene, out=tmp_path / "tiles", tile=64)
    for other, name in (("other", "model"), ("tiles", "tile")):
        with pytest.raises(RsirError, match=f"an archive of another {name} .*choose"):
            quiet(tmp_path / other, url)
    assert len(ids(Collection(url))) == 35
    with pytest.raises(RsirError, match="no archive here"):
        quiet(tmp_path / "none", url)
    with pytest.raises(RsirError, match="--k or --fine 20000: Milvus gives at most"):
        search(model, url, "red", 20_000)
    foreign = Collection(milvus.url("foreign"))
    foreign.client.create_collection("foreign", dimension=8)
    with pytest.raises(RsirError, match="a collection that rsir did not make"):
        search(model, foreign.url, "red")


@engine
def test_vectors_of_another_length_or_kind_are_told(url, tmp_path):
    archive = random_archive(tmp_path / "one", 40, 16, shards=2)
    quiet(archive, url)
    for other, more in (("two", {"dim": 24}), ("three", {"dim": 16, "code": True})):
        random_archive(tmp_path / other, 40, shards=1, **more)
        with pytest.raises(RsirError, match="vectors of another kind or length"):
            quiet(tmp_path / other, url)
    with pytest.raises(RsirError, match="vectors of length 16, and the model gives 8"):
        Collection(url).closest([0.0] * 8, 3, Only())
    (wide,) = Store(tmp_path / "two").shards()
    wide.rename(archive / "zzz.parquet")
    with pytest.raises(RsirError, match="zzz.parquet: vectors of another kind"):
        quiet(archive, url)


@engine
def test_the_command_loads_and_searches(build, scene, url, called, monkeypatch, model):
    monkeypatch.setattr("rsir.cli.index.model_of", lambda *_: model)
    build(scene)
    code, said, _ = called("index", "load", build.out, url)
    assert code == 0 and f"{url}: 35 tiles, 35 of them new" in said
    words = ("red", "--box", "9.0,47.8,9.1,47.9", "--since", "2024-01-01", "--json")
    here = called("index", "search", build.out, *words)[1]
    assert called("index", "search", url, *words)[1] == here
    assert json.loads(here)[0]["window"] == [96, 64, 32, 32]
    code, _, err = called("index", "search", url, "red", "--k", 20_000)
    assert code == 2 and err.count("\n") == 1


@pytest.mark.parametrize(
    "url",
    ["milvus://", "milvus://host", "milvus://host:1/a/b", "milvus://h:port/a",
     "milvus://host/a-b", "milvus:///name", "milvus://host/1a"],
)  # fmt: skip
def test_wrong_addresses_are_told(url):
    with pytest.raises(RsirError, match="write milvus://host:19530/name"):
        Collection(url)


def test_a_server_that_is_not_there_is_told(called, build, scene):
    build(scene)
    url = "milvus://127.0.0.1:1/name"
    code, _, err = called("index", "load", build.out, url)
    assert code == 2 and err.count("\n") == 1
    assert "no Milvus server answers" in err and "milvus-server --data" in err


def test_codes_are_told_from_vectors(build, scene, tmp_path):
    build(scene)
    build(scene, out=tmp_path / "codes", model=Mean(code=True))
    for archive, want in (
        (build.out, ("embedding", 3)),
        (tmp_path / "codes", ("code", 24)),
    ):
        (shard,) = Store(archive).shards()
        assert room.kind_of(read(shard)) == want


def test_filters_in_the_words_of_milvus():
    assert expression(Only()) == ""
    assert expression(Only(source='/a "b"/')) == (
        '(source == "/a \\"b\\"/" or (source >= "/a \\"b\\"/" and source < "/a \\"b\\"0"))'
    )
    assert expression(Only(box=(-1, 2, 3, 4.5))) == (
        "xmin <= 3.0 and ymin <= 4.5 and xmax >= -1.0 and ymax >= 2.0"
    )
