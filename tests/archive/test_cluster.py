"""The same rows from workers of a scheduler, one of which dies."""

import pytest
from engines import dask  # noqa: F401
from skips import skip_or_fail
from small_scenes import Store, build, ground, model, placed, room, rows  # noqa: F401
from tiny import cache, cached, folder, quiet, splits, tiny_config  # noqa: F401

from rsir.training.checkpoints import load_run
from rsir.utils.errors import RsirError

try:
    from distributed import LocalCluster
except ImportError as error:
    skip_or_fail(str(error))


@pytest.fixture
def run(cached, splits, tmp_path):
    quiet(tiny_config("linear", epochs=1), splits, tmp_path / "run")
    return tmp_path / "run"


def test_workers_give_the_rows_of_one_process(build, run, tmp_path, monkeypatch):
    monkeypatch.setattr(room, "BATCH", 4)
    array = ground(128, 128, red=[(32, 32)])
    array[:32, :64] = 0
    scene = placed(tmp_path / "scene.tif", array, nodata=0)
    model = load_run(run)
    build(scene, model=model, out=tmp_path / "here")
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
    ) as cluster:
        more = {"model": model, "run": run, "cluster": cluster.scheduler_address}
        assert build(scene, **more)[:4] == (14, 14, 2, 0)
        assert build(scene, **more).new == 0
    assert rows(build.out) == rows(tmp_path / "here")


@pytest.mark.engine
def test_a_worker_that_is_killed_costs_nothing(build, run, tmp_path, dask, monkeypatch):
    monkeypatch.setattr(room, "BATCH", 4)
    scene = placed(tmp_path / "scene.tif", ground(512, 512, red=[(32, 32)]))
    model = load_run(run)
    build(scene, model=model, out=tmp_path / "here")
    write, writes = Store.note_left_out, []

    def watched(*args):  # after each batch that has come back
        writes.append(args)
        if len(writes) == 9:
            dask.workers.pop().end()
        return write(*args)

    monkeypatch.setattr(Store, "note_left_out", watched)
    done = build(scene, model=model, run=run, cluster=dask.address)
    assert done[:4] == (256, 256, 0, 0) and len(writes) > 60
    assert rows(build.out) == rows(tmp_path / "here")


def test_a_scheduler_that_is_not_there_is_told(build, run, tmp_path, monkeypatch):
    import distributed

    def nobody(*_, **__):
        raise OSError("Timed out trying to connect")

    monkeypatch.setattr(distributed, "Client", nobody)
    scene = placed(tmp_path / "scene.tif", ground(64, 64))
    with pytest.raises(RsirError, match="--cluster tcp://x:1: no scheduler answers"):
        build(scene, model=load_run(run), run=run, cluster="tcp://x:1")
