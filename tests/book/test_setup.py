"""The set-up behind the two doors, with a stub in place of Python.

A half-done install is never taken as done, a finished one costs nothing.
"""

import os
import subprocess
import sys

import pytest
from nbkit import ROOT

STUB = """#!/usr/bin/env bash
echo "$*" >>"$CALLS"
case "$*" in
  "-c import sys"*) exit "${TOO_OLD:-0}" ;;
  "--version") echo "Python 3.9.1" ;;
  "-c import tomllib"*) exec "$REAL" "$@" ;;
  "-m venv --clear "*) mkdir -p "$4/bin" && cp "$0" "$4/bin/python" ;;
  "-m pip install"*) echo "no matching distribution"; exit "${FAIL:-0}" ;;
esac
"""


@pytest.fixture
def setup(tmp_path):
    stub, calls, venv = (tmp_path / name for name in ("python", "calls", "venv"))
    stub.write_text(STUB)
    stub.chmod(0o755)

    def run(what="all", **extra):
        calls.write_text("")
        env = {k: v for k, v in os.environ.items() if k != "INSTALL"}
        done = subprocess.run(
            ["bash", str(ROOT / "tools/setup.sh"), str(stub), str(venv), what],
            env=env | {"CALLS": str(calls), "REAL": sys.executable} | extra,
            capture_output=True,
            text=True,
        )
        return done, calls.read_text()

    run.venv, run.stamp = venv, venv / ".rsir-all"
    return run


def test_first_installs_then_nothing_until_it_breaks(setup):
    done, calls = setup()
    assert done.returncode == 0, done.stderr
    assert "-m venv" in calls
    extras = "book,lab,test,fetch,archive,cluster,app"
    assert f"--constraint constraints.txt --editable .[{extras}]" in calls
    done, calls = setup()
    assert (done.returncode, done.stdout) == (0, "")
    assert "pip install" not in calls and "venv" not in calls
    (setup.venv / "bin/python").write_text("#!/gone\n")
    assert "-m venv --clear" in setup()[1]


def test_a_failed_install_is_told_and_tried_again(setup):
    done, _ = setup(FAIL="1")
    assert done.returncode == 1 and "no matching distribution" in done.stderr
    assert not setup.stamp.exists()
    assert "pip install" in setup()[1] and setup.stamp.exists()
    setup.stamp.write_text("of other requirements\n")
    setup(FAIL="137")
    assert not setup.stamp.exists()
    setup.stamp.write_text("of other requirements\n")
    _, calls = setup()
    assert "pip install" in calls and "-m venv" not in calls


def test_the_pages_alone_need_few_packages_and_the_rest_can_follow(setup):
    done, calls = setup("book")
    assert done.returncode == 0, done.stderr
    (line,) = [x for x in calls.splitlines() if x.startswith("-m pip install")]
    assert line.endswith(f"constraints.txt --requirement {setup.venv}/book.txt")
    asked = (setup.venv / "book.txt").read_text()
    assert "jupyter-book>=" in asked and "numpy>=" in asked and "torch" not in asked
    assert "pip install" not in setup("book")[1]
    assert "--editable" in setup("all")[1] and setup.stamp.exists()
    assert "pip install" not in setup("book")[1], "all has the pages' packages, too"


def test_an_old_python_is_named(setup):
    done, calls = setup(TOO_OLD="1")
    assert done.returncode == 2 and "-m venv" not in calls
    assert "3.11" in done.stderr and "3.9.1" in done.stderr


def test_install_no_touches_nothing(setup):
    done, calls = setup(INSTALL="no")
    assert (done.returncode, calls) == (0, "") and not setup.venv.exists()
