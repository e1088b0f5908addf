"""Pack the built book into one zip that opens without a server.

Usage: python tools/archive.py [--book FOLDER] [--out FILE]

Every file gets the same date, so that one book gives one archive, byte for
byte. Unpack it and open `index.html`; no page asks the network.
"""

import argparse
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HTML = ROOT / "_build/html"
OUT = ROOT / "_build/find-the-scene.zip"
DATE = (2020, 1, 1, 0, 0, 0)
#: what a reader has no use for
LEFT_OUT = (".buildinfo", "objects.inv")


def members(html: Path) -> list[Path]:
    """The files of the book, in order."""
    return [
        path for path in sorted(html.rglob("*"))
        if path.is_file() and path.name not in LEFT_OUT
        and "reports" not in path.relative_to(html).parts
    ]  # fmt: skip


def pack(html: Path, out: Path) -> int:
    """Write the archive; its number of files.

    Raises:
        FileNotFoundError: there is no book in `html`.
    """
    if not (html / "index.html").exists():
        raise FileNotFoundError(f"{html}: no book; run make book first")
    part = out.with_name(f".{out.name}.part")
    files = members(html)
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            inside = path.relative_to(html).as_posix()
            entry = zipfile.ZipInfo(f"{out.stem}/{inside}", DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, path.read_bytes())
    part.replace(out)
    return len(files)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--book", type=Path, default=HTML)
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    try:
        count = pack(args.book, args.out)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 1
    size = args.out.stat().st_size / 2**20
    print(f"{args.out}: {count} files, {size:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
