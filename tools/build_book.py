"""Build the HTML book to `_build/html`; every warning is an error.

Usage: python tools/build_book.py [--out FOLDER]

The build starts from nothing, since Sphinx repeats a warning only for the
pages that it reads again.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Chatter of a child process that is no warning of the build.
QUIET = ("[IPKernelApp]", "Kernel is running over TCP")


def build(out: Path) -> int:
    """Run Jupyter Book 1.x over the checkout; 0 when it is clean."""
    shutil.rmtree(out / "_build", ignore_errors=True)
    run = "from jupyter_book.cli.main import main; main()"
    command = [
        sys.executable, "-c", run, "build", str(ROOT), "--all", "-n", "-W",
        "--keep-going", "--path-output", str(out),
    ]  # fmt: skip
    env = dict(os.environ, PYTHONPATH=str(ROOT))
    done = subprocess.run(
        command, cwd=ROOT, env=env, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    lines = [
        line
        for line in done.stdout.splitlines()
        if not any(word in line for word in QUIET)
    ]
    built = (out / "_build/html/index.html").exists()
    if done.returncode or not built:
        print("\n".join(lines), file=sys.stderr)
    return done.returncode or int(not built)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT)
    out = parser.parse_args().out.resolve()
    start = time.perf_counter()
    code = build(out)
    if code:
        print("The book was not built.", file=sys.stderr)
        return code
    pages = len(list((out / "_build/html").rglob("*.html")))
    seconds = time.perf_counter() - start
    print(f"The book: {pages} pages in {seconds:.0f} s, no warning.")
    print(f"Open {out / '_build/html/index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
