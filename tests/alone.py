"""Python in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent
#: words that start a script as two processes
TWO = "-m torch.distributed.run --standalone --nproc-per-node 2".split()


def start(*words, **env):
    """`python WORDS`, on the CPU, with the tests' helpers at hand."""
    paths = [str(TESTS), str(TESTS.parent), os.environ.get("PYTHONPATH", "")]
    here = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    here["PYTHONPATH"] = os.pathsep.join(paths)
    return subprocess.Popen(
        [sys.executable, *map(str, words)],
        cwd=TESTS.parent,
        env=os.environ | here | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def alone(*words, code=0, **env):
    """Wait for `python WORDS`; it ends with `code`. What was printed."""
    with start(*words, **env) as process:
        out, errors = process.communicate(timeout=600)
    assert process.returncode == code, errors[-3000:]
    return out
