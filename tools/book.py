"""Build the book.

    python tools/book.py stored              is every output stored?
    python tools/book.py pages               book/_generated/ from results/
    python tools/book.py build [--out DIR]   HTML to DIR/_build/html
    python tools/book.py archive [--out ZIP] the built book as one zip

`stored` names chapters that were not executed and systems that the explorer
lacks; to make them takes PyTorch, all else here does not. `pages`: each module
of `tools/pages/` gives some fragments; one that did not change is not written
again. `build` starts from nothing, since Sphinx repeats a warning only for
pages that it reads again, and every warning is an error. `archive`: every file
gets the same date, so that one book gives one archive, byte for byte; unpack it
and open `index.html`, no page asks the network.
"""

import argparse
import importlib
import os
import pkgutil
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import explorer
import pages
from nbkit import ROOT, chapters, execute

DATE = (2020, 1, 1, 0, 0, 0)
#: what a reader of the archive has no use for
LEFT_OUT = (".buildinfo", "objects.inv")
#: chatter of a child process that is no warning of the build
QUIET = ("[IPKernelApp]", "Kernel is running over TCP")


def not_stored() -> list[str]:
    """What must run before the book can be built."""
    known = explorer.load()
    lacks = [f"{name} in the explorer" for name in explorer.missing(known)]
    if not (explorer.OUT / explorer.SHEET).exists():
        lacks.append(f"the explorer's {explorer.SHEET}")
    done = {p.name: execute.is_executed(execute.read(p)) for p in chapters()}
    return [name for name, stored in done.items() if not stored] + lacks


def fragments(root: Path) -> dict[str, str]:
    """{file name: text} of all generated parts.

    Raises:
        ValueError: two modules make the same fragment.
    """
    found: dict[str, str] = {}
    for info in pkgutil.iter_modules(pages.__path__):
        made = importlib.import_module(f"pages.{info.name}").render(root)
        if twice := set(made) & set(found):
            raise ValueError(f"{info.name} makes {twice} a second time")
        found |= made
    return found


def write_pages(root: Path, out: Path) -> int:
    """Write the fragments, drop what is no longer made; how many there are."""
    out.mkdir(parents=True, exist_ok=True)
    made = fragments(root)
    for name, text in made.items():
        path, text = out / name, text.rstrip() + "\n"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    for path in out.iterdir():
        if path.name not in made:
            path.unlink()
    return len(made)


def build(out: Path) -> int:
    """Run Jupyter Book 1.x over the checkout; 0 when it is clean."""
    start = time.perf_counter()
    for name in ("html", ".doctrees", "jupyter_execute"):  # slides may stay
        shutil.rmtree(out / "_build" / name, ignore_errors=True)
    run = "from jupyter_book.cli.main import main; main()"
    options = ["--all", "-n", "-W", "--keep-going", "--path-output", str(out)]
    done = subprocess.run(
        [sys.executable, "-c", run, "build", str(ROOT), *options],
        cwd=ROOT,
        env=dict(os.environ, PYTHONPATH=str(ROOT)),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    html = out / "_build/html"
    if done.returncode or not (html / "index.html").exists():
        lines = done.stdout.splitlines()
        told = [x for x in lines if not any(word in x for word in QUIET)]
        print(*told, "The book was not built.", sep="\n", file=sys.stderr)
        return done.returncode or 1
    made, seconds = len(list(html.rglob("*.html"))), time.perf_counter() - start
    print(f"The book: {made} pages in {seconds:.0f} s, no warning.")
    print(f"Open {html / 'index.html'}")
    return 0


def pack(html: Path, out: Path) -> int:
    """Write the archive; its number of files.

    Raises:
        FileNotFoundError: there is no book in `html`.
    """
    if not (html / "index.html").exists():
        raise FileNotFoundError(f"{html}: no book; run make book first")
    inside = {
        path.relative_to(html): path
        for path in sorted(html.rglob("*"))
        if path.is_file() and path.name not in LEFT_OUT
    }
    inside = {
        name: path for name, path in inside.items() if "reports" not in name.parts
    }
    part = out.with_name(f".{out.name}.part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in inside.items():
            entry = zipfile.ZipInfo(f"{out.stem}/{name.as_posix()}", DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, path.read_bytes())
    part.replace(out)
    return len(inside)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=("stored", "pages", "build", "archive"))
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    if args.command == "build":
        return build((args.out or ROOT).resolve())
    if args.command == "stored":
        if lacks := not_stored():
            print(f"Not stored yet: {', '.join(lacks)}.")
        return bool(lacks)
    if args.command == "pages":
        count = write_pages(ROOT, ROOT / "book/_generated")
        print(f"Generated {count} parts of the book.")
        return 0
    out = args.out or ROOT / "_build/find-the-scene.zip"
    try:
        count = pack(ROOT / "_build/html", out)
    except FileNotFoundError as error:
        sys.exit(str(error))
    print(f"{out}: {count} files, {out.stat().st_size / 2**20:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
