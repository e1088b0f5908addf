"""Servers that tests start, stop and kill, by the ids of their processes.

`make engines` names the program of the Milvus server in RSIR_MILVUS_SERVER, and
runs the tests where nothing but this machine reaches them.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from skips import skip_or_fail

try:
    from rsir.archive.milvus import load
    from rsir.archive.scenes import Tile
    from rsir.archive.store import Store, as_vectors, to_table
except (ImportError, ValueError) as error:  # an RsirError names what is missing
    skip_or_fail(str(error))

TESTS = Path(__file__).parent


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Process:
    """A program in a process group of its own; its output is in a file."""

    def __init__(self, command, said, **env):
        path = os.pathsep.join([str(TESTS), *sys.path])
        env = os.environ | {"PYTHONPATH": path} | env
        self.said = Path(said)
        with open(said, "a") as file:
            self.popen = subprocess.Popen(
                list(map(str, command)),
                stdout=file,
                stderr=file,
                env=env,
                start_new_session=True,
            )

    def text(self):
        return self.said.read_text(errors="replace")

    def end(self, how=signal.SIGKILL):
        """Send a signal to the program and what it started; wait for its end."""
        if self.popen.poll() is None:
            os.killpg(self.popen.pid, how)
        self.popen.wait(60)

    def until(self, ready, seconds=120):
        """Wait for `ready()`; fail with what was said if it never comes."""
        end = time.monotonic() + seconds
        while not (found := ready()):
            alive = self.popen.poll() is None
            if not alive or time.monotonic() > end:
                how = "waited in vain" if alive else f"exit {self.popen.returncode}"
                pytest.fail(f"{self.popen.args[0]}, {how}: {self.text()[-2000:]}")
            time.sleep(0.05)
        return found


class Milvus:
    """A Milvus server whose data outlive it."""

    def __init__(self, folder):
        program = os.environ.get("RSIR_MILVUS_SERVER")
        if not program:
            skip_or_fail("RSIR_MILVUS_SERVER names no server; run make engines")
        self.folder, self.program = folder, program
        self.start()

    def url(self, name):
        return f"milvus://127.0.0.1:{self.port}/{name}"

    def start(self):
        # another port each time: for a minute after a kill the old one is not free
        # again, and the server would take the next without a word
        began, self.port = time.monotonic(), free_port()
        said = self.folder / f"said-{time.time_ns()}.txt"
        command = [self.program, "--data", self.folder / "data"]
        command += ["--proxy-port", self.port]
        self.process = Process(command, said, PYTHONUNBUFFERED="1")
        try:
            self.process.until(lambda: "Ctrl+C to exit" in self.process.text(), 240)
        except pytest.fail.Exception as error:
            self.kill()
            logs = sorted((self.folder / "data/logs").glob("milvus-std*.log"))
            ends = [f"{x.name}: {x.read_text(errors='replace')[-3000:]}" for x in logs]
            pytest.fail("\n".join([str(error), *ends]))
        config = (self.folder / "data/configs/milvus.yaml").read_text()
        assert re.search(rf"port: {self.port}\b", config), "another one has the port"
        self.process.until(self._serves, 300)
        self.seconds = time.monotonic() - began

    def _serves(self):
        """Whether all that it holds can be asked; after a kill it takes a while."""
        from pymilvus import MilvusClient, MilvusException

        try:
            client = MilvusClient(f"http://127.0.0.1:{self.port}", timeout=10)
            for name in client.list_collections():
                client.load_collection(name, timeout=60)
                more = {"output_fields": ["count(*)"], "consistency_level": "Strong"}
                client.query(name, filter="", **more)
        except MilvusException:
            return False
        return True

    def kill(self):
        self.process.end()

    def stop(self):
        self.process.end(signal.SIGINT)


@pytest.fixture(scope="module")
def milvus(tmp_path_factory):
    """A Milvus server for one file of tests; two at once disturb each other."""
    server = Milvus(tmp_path_factory.mktemp("milvus"))
    yield server
    server.stop()


@pytest.fixture(params=["local", pytest.param("milvus", marks=pytest.mark.engine)])
def at(request):
    """Where an archive is searched: its folder, or a copy of it on Milvus."""
    if request.param == "local":
        return lambda archive: archive
    server, names = request.getfixturevalue("milvus"), {}

    def there(archive):
        name = names.setdefault(str(archive), f"t{time.time_ns()}")
        load(archive, server.url(name), progress=False)
        return server.url(name)

    return there


class Dask:
    """A scheduler and two workers, each a process of its own."""

    def __init__(self, folder):
        self.folder, self.n = folder, 0
        self.where = folder / "scheduler.json"
        self.scheduler = self._start("scheduler", "--port", 0)
        self.scheduler.until(self.where.exists)
        self.workers = []
        for _ in range(2):
            self.add()
        self.address = json.loads(self.where.read_text())["address"]

    def _start(self, kind, *words):
        self.n += 1
        command = [sys.executable, "-m", "dask", kind, "--host", "127.0.0.1"]
        command += ["--no-dashboard", "--scheduler-file", self.where]
        return Process([*command, *words], self.folder / f"said-{self.n}.txt")

    def add(self):
        """Start one more worker, and wait until the scheduler knows it."""
        words = "--no-nanny", "--nthreads", 1, "--local-directory", self.folder
        worker = self._start("worker", *words)
        worker.until(lambda: "Registered to" in worker.text())
        self.workers.append(worker)

    def stop(self):
        for process in (*self.workers, self.scheduler):
            process.end()


@pytest.fixture(scope="module")
def dask(tmp_path_factory):
    """The address of a scheduler with two workers is `dask.address`."""
    made = Dask(tmp_path_factory.mktemp("dask"))
    yield made
    made.stop()


FACTS = {"method": "Mean", "model": "0" * 16, "tile": 32, "overlap": 0, "pixels": None}


def random_archive(folder, n, dim, code=False, shards=10, seed=0):
    """An archive of n tiles with random vectors; each tenth has no place or date."""
    rng = np.random.default_rng(seed)
    for part in np.array_split(np.arange(n), shards):
        tiles = []
        for i, (lon, lat) in zip(part, rng.uniform(0, 10, (len(part), 2)).tolist()):
            ring = [(lon, lat), (lon + 0.1, lat), (lon + 0.1, lat + 0.1)]
            ring = None if i % 10 == 0 else (*ring, (lon, lat + 0.1))
            when = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=int(i))
            where = f"/scenes/{i % 7}/{part[0]}.tif", (int(i), 0, 32, 32), ring
            tiles.append(Tile(f"{i:016x}", *where, None if i % 10 == 5 else when))
        rows = rng.normal(size=(len(part), dim)).astype(np.float32)
        unit, codes = as_vectors(np.packbits(rows > 0, axis=1) if code else rows)
        Store(folder).write(to_table(tiles, unit, codes), FACTS)
    return folder
