"""Work on the book's notebooks.

    python tools/notebooks.py execute [--missing] [NOTEBOOK ...]
    python tools/notebooks.py verify  [-n JOBS] [NOTEBOOK ...]
    python tools/notebooks.py check   [NOTEBOOK ...]
    python tools/notebooks.py sync    [NOTEBOOK ...]
    python tools/notebooks.py student [--out FOLDER] [NOTEBOOK ...]
    python tools/notebooks.py address URL [BRANCH]

`execute` runs notebooks in place on toy scenes and strips volatile
metadata; `verify` runs them under nbval; `check` applies the guards;
`sync` rewrites the cells that all notebooks share; `student` writes
versions without outputs and solutions; `address` moves the book to another
repository.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from nbkit import ROOT, chapters, execute, guard, student, template

CELL_TIMEOUT = 1800  # seconds; a hang, not a slow machine


def cmd_execute(args) -> int:
    os.environ.setdefault("RSIR_DATASET", "toy")
    os.environ.setdefault("RSIR_PRESET", "toy")
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    for path in args.notebooks:
        if args.missing and execute.is_executed(execute.read(path)):
            continue
        print(f"executing {path.name} ...", end=" ", flush=True)
        cost = execute.execute(path, CELL_TIMEOUT)
        print(f"{cost['seconds']} s")
        execute.save_status(execute.load_status() | {path.stem: cost})
    return 0


def cmd_verify(args) -> int:
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "--nbval-current-env"]
    command += ["-n", args.jobs, "--dist", "loadfile"]  # a chapter stays whole
    command += ["--durations=5", "-q", f"--nbval-cell-timeout={CELL_TIMEOUT}"]
    command += [f"--nbval-sanitize-with={ROOT / 'tests/nbval_sanitize.cfg'}"]
    env = dict(os.environ, JUPYTER_PREFER_ENV_PATH="1")
    paths = map(str, args.notebooks)
    return subprocess.run([*command, *paths], cwd=ROOT, env=env).returncode


def cmd_check(args) -> int:
    status = execute.load_status()
    complaints = [c for path in args.notebooks for c in guard.check(path, status)]
    print("\n".join(complaints) or "The notebooks are in order.")
    return bool(complaints)


def cmd_sync(args) -> int:
    for path in args.notebooks:
        nb = execute.read(path)
        execute.sync(nb, path.name)
        execute.write(path, nb)
    return 0


def cmd_student(args) -> int:
    args.out.mkdir(parents=True, exist_ok=True)
    for path in args.notebooks:
        execute.write(args.out / path.name, student.version(execute.read(path)))
    print(f"{args.out}: {len(args.notebooks)} notebooks without solutions")
    return 0


def cmd_address(args) -> int:
    for path in template.set_address(args.url, args.branch):
        print(f"changed {path.relative_to(ROOT)}")
    return cmd_sync(args)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("execute", "verify", "check", "sync", "student"):
        sub = commands.add_parser(name)
        sub.add_argument("notebooks", nargs="*", type=Path)
        if name == "execute":
            sub.add_argument("--missing", action="store_true")
        if name == "verify":
            sub.add_argument("-n", dest="jobs", default="1")
        if name == "student":
            sub.add_argument("--out", type=Path, default=ROOT / "_build/student")
    sub = commands.add_parser("address")
    sub.add_argument("url")
    sub.add_argument("branch", nargs="?", default="main")
    sub.set_defaults(notebooks=())
    args = parser.parse_args()
    args.notebooks = [p.resolve() for p in args.notebooks] or chapters()
    return globals()[f"cmd_{args.command}"](args)


if __name__ == "__main__":
    sys.exit(main())
