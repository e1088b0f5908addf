"""Write the generated parts of the book to `book/_generated/`.

Usage: python tools/build_pages.py

Each module of `tools/pages/` gives some fragments. A fragment that did not
change is not written again.
"""

import importlib
import pkgutil
import sys
from pathlib import Path

import pages

ROOT = Path(__file__).resolve().parent.parent


def fragments(root: Path) -> dict[str, str]:
    """{file name: text} of all generated parts.

    Raises:
        ValueError: two modules make the same fragment, or a module does
            not make what it announces.
    """
    found = {}
    for info in pkgutil.iter_modules(pages.__path__):
        module = importlib.import_module(f"pages.{info.name}")
        made = module.render(root)
        if set(made) != set(module.NAMES):
            raise ValueError(f"{info.name} does not make {module.NAMES}")
        if twice := set(made) & set(found):
            raise ValueError(f"{info.name} makes {twice} a second time")
        found |= made
    return found


def write(root: Path, out: Path) -> list[Path]:
    """Write the fragments, drop what is no longer made."""
    out.mkdir(parents=True, exist_ok=True)
    made = fragments(root)
    for name, text in made.items():
        path = out / name
        text = text.rstrip() + "\n"
        if not path.exists() or path.read_text() != text:
            path.write_text(text, encoding="utf-8")
    for path in out.iterdir():
        if path.name not in made:
            path.unlink()
    return [out / name for name in made]


def main() -> int:
    sys.path.insert(0, str(ROOT))
    written = write(ROOT, ROOT / "book/_generated")
    print(f"Generated {len(written)} parts of the book.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
