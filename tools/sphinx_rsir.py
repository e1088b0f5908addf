"""What the book asks of Sphinx beyond its configuration file.

*No thebe.* The theme's chain brings in `sphinx_thebe`, which writes its
script block twice on every page and names a server elsewhere. The book
does not use it, so its listeners are taken off before they run.

*Hanging lists.* Our docstrings explain fields as `name: text`, with the
following lines set in. To Sphinx that is a broken paragraph; it is turned
into a list. The name of a chapter becomes a link to it; a bar, as in
|a - b|, stays a bar.

*Citations* read "Yuan 2021", in the text as in the list.

*Stand-ins.* The API page is made from docstrings and signatures. What the
modules import besides is not needed for that, and not installed where the
pages alone are built: `STANDINS` take its place. (Sphinx's own mock shows a
subclass of `nn.Module` with the mock's signature, and fails at `Tensor | None`.)
"""

import re
import sys
from collections import Counter
from importlib.machinery import ModuleSpec
from itertools import groupby
from types import FunctionType, ModuleType

import pybtex.plugin
from nbkit import ROOT
from pages import in_book
from pybtex.style.formatting.unsrt import Style as UnsrtStyle
from pybtex.style.labels import BaseLabelStyle

CHAPTER = re.compile(r"\bnotebooks/(\d\d_\w+)\.ipynb")
ITEM = re.compile(r"^[*\w]+(, [*\w]+)*: \S")
SECTION = re.compile(
    r"^(Args|Returns|Raises|Yields|Warns|Attributes|Note|Notes|Example|"
    r"Examples|See Also|Warning|Warnings|Keyword Args|References|Todo):$"
)


STANDINS = set(
    "accelerate pyarrow pyproj rasterio safetensors shapely torch torchvision".split()
)


class StandIn(ModuleType):
    """A module, and whatever may be asked of one while others are imported."""

    __path__: list[str] = []
    __version__ = "0"  # too old for a package that can do without

    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        if name.endswith("Warning"):
            return type(name, (Warning,), {})
        return StandIn(f"{self.__name__}.{name}")

    def __repr__(self) -> str:
        return self.__name__

    def __call__(self, *args, **_options):
        """As a decorator it hands the function on."""
        return args[0] if args and isinstance(args[0], FunctionType) else self

    def __mro_entries__(self, _bases):
        """As a base class it is none: signatures stay a class's own."""
        return ()

    def __iter__(self):
        return iter(())

    def __or__(self, _other):  # Tensor | None
        return self

    __ror__ = __or__

    def __instancecheck__(self, _other):
        return False

    __subclasscheck__ = __instancecheck__


class StandIns:
    """Finds and makes the stand-ins, as an entry of `sys.meta_path`."""

    def find_spec(self, name, _path=None, _target=None):
        return ModuleSpec(name, self) if name.split(".")[0] in STANDINS else None

    def create_module(self, spec):
        return StandIn(spec.name)

    def exec_module(self, module):
        pass


def depth(line: str) -> int:
    return len(line) - len(line.lstrip())


def listed(block: list[str], at: int, always=False) -> list[str]:
    """`block` with its hanging items, `at` spaces deep, as a list.

    Without `always`, only where at least one item does hang: else a
    sentence with a colon would be taken for one.
    """
    items = [
        i
        for i, line in enumerate(block)
        if depth(line) == at and ITEM.match(line.strip())
    ]
    hangs = any(depth(line) > at for i in items for line in block[i + 1 : i + 2])
    if not items or not (hangs or always):
        return block
    out, inside = [], False
    for i, line in enumerate(block):
        if i in items:
            name, text = line.strip().split(": ", 1)
            names = ", ".join(f"``{n}``" for n in name.split(", "))
            out += [] if inside else [""]
            out.append(f"{' ' * at}* {names}: {text}")
            inside = True
        elif inside and depth(line) > at:
            out.append(f"{' ' * at}  {line.strip()}")
        elif inside and depth(line) == at:
            out += ["", line]
            inside = False
        else:
            out.append(line)
    return [*out, ""]


def joined_names(line: str) -> str:
    """`a, b: text` -> `a,b: text`, which Sphinx takes for one name."""
    if not ITEM.match(line.strip()):
        return line
    name, text = line.split(": ", 1)
    return f"{name.replace(', ', ',')}: {text}"


def chapter_link(line: str) -> str:
    """The file name of a chapter as a link, if the chapter exists."""
    for name in CHAPTER.findall(line):
        if in_book(ROOT, name):
            line = line.replace(f"notebooks/{name}.ipynb", f":doc:`/notebooks/{name}`")
    return line


def plain_bars(line: str) -> str:
    """Bars outside of code, which Sphinx would take for its own."""
    return re.sub(r"`[^`]*`|\|", lambda x: x[0].replace("|", "\\|", x[0] == "|"), line)


def hanging_lists(lines: list[str]) -> list[str]:
    """A docstring's lines with hanging items as lists."""
    out = []
    for full, group in groupby(lines, key=lambda line: bool(line.strip())):
        block = list(group)
        if full and block[0].strip() == "Attributes:" and len(block) > 1:
            deep = depth(block[1])
            block = listed([line[deep:] for line in block[1:]], 0, always=True)
        elif full and SECTION.match(block[0].strip()):
            block = [joined_names(line) for line in block]
            deeper = sorted({depth(x) for x in block[1:]})[1:2]  # below its items
            block = listed(block, deeper[0]) if deeper else block
        elif full:
            block = listed(block, depth(block[0]))
        out += block
    return out


def _docstring(_app, _what, _name, _obj, _options, lines):
    lines[:] = [chapter_link(plain_bars(line)) for line in hanging_lists(lines)]


def _without_thebe(app, _config):
    for found in app.events.listeners.values():
        found[:] = [x for x in found if "sphinx_thebe" not in x.handler.__module__]
    files = app.registry.css_files
    files[:] = [item for item in files if "thebe" not in item[0]]


class NameAndYear(BaseLabelStyle):
    """Labels such as `Yuan 2021`; a letter where two would be equal."""

    def format_labels(self, entries):
        seen = Counter()
        for entry in entries:
            first = entry.persons["author"][0]
            name = " ".join(first.prelast_names + first.last_names).strip("{}")
            label = f"{name} {entry.fields['year']}"
            yield label + (" bcdefgh"[seen[label]].strip())
            seen[label] += 1


class Style(UnsrtStyle):
    default_label_style = NameAndYear
    default_sorting_style = "author_year_title"


def setup(app):
    sys.meta_path.insert(0, StandIns())
    pybtex.plugin.register_plugin("pybtex.style.formatting", "rsir", Style)
    app.connect("config-inited", _without_thebe, priority=1)
    app.connect("autodoc-process-docstring", _docstring, priority=1)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
