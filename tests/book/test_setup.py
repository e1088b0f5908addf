"""The set-up behind the two doors, with a stub in place of Python.

A half-done install is never taken as done, a finished one costs nothing.
"""

import os
import subprocess

import pytest
from nbkit import ROOT

STUB = """#!/usr/bin/env bash
echo "$*" >>"$CALLS"
case "$*" in
  "-c import sys"*) exit "${TOO_OLD:-0}" ;;
  "--version") echo "Python 3.9.1" ;;
  "-m venv --clear "*) mkdir -p "$4/bin" && cp "$0" "$4/bin/python" ;;
  "-m pip install"*) echo "no matching distribution"; exit "${FAIL:-0}" ;;
esac
"""


@pytest.fixture
def setup(tmp_path):
    stub = tmp_path / "python"
    stub.write_text(STUB)
    stub.chmod(0o755)
    calls = tmp_path / "calls"
    venv = tmp_path / "venv"

    def run(**extra):
        calls.write_text("")
        env = dict(os.environ, CALLS=str(calls), **extra)
        env.pop("INSTALL", None)
        env |= {k: v for k, v in extra.items() if k == "INSTALL"}
        done = subprocess.run(
            ["bash", str(ROOT / "tools/setup.sh"), str(stub), str(venv)],
            env=env, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done, calls.read_text()

    run.venv = venv
    run.stamp = venv / ".rsir-ready"
    return run


def test_first_installs_then_nothing(setup):
    done, calls = setup()
    assert done.returncode == 0, done.stderr
    assert "-m venv" in calls
    assert "--constraint constraints.txt --editable .[book,test,fetch]" in calls
    done, calls = setup()
    assert done.returncode == 0
    assert "pip install" not in calls
    assert "venv" not in calls
    assert done.stdout == ""


def test_a_failed_install_is_told_and_tried_again(setup):
    done, _ = setup(FAIL="1")
    assert done.returncode == 1
    assert "no matching distribution" in done.stderr
    assert not setup.stamp.exists()
    done, calls = setup()
    assert done.returncode == 0
    assert "pip install" in calls
    assert setup.stamp.exists()


def test_other_requirements_are_installed(setup):
    setup()
    setup.stamp.write_text("of other requirements\n")
    _, calls = setup()
    assert "pip install" in calls
    assert "-m venv" not in calls


def test_a_kill_while_updating_leaves_no_stamp(setup):
    setup()
    setup.stamp.write_text("old\n")
    setup(FAIL="137")
    assert not setup.stamp.exists()


def test_a_broken_environment_is_made_anew(setup):
    setup()
    (setup.venv / "bin/python").write_text("#!/gone\n")
    _, calls = setup()
    assert "-m venv --clear" in calls


def test_an_old_python_is_named(setup):
    done, calls = setup(TOO_OLD="1")
    assert done.returncode == 2
    assert "3.11" in done.stderr
    assert "3.9.1" in done.stderr
    assert "-m venv" not in calls


def test_install_no_touches_nothing(setup):
    done, calls = setup(INSTALL="no")
    assert done.returncode == 0
    assert calls == ""
    assert not setup.venv.exists()
