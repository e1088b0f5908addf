"""The house rules of the code: sizes, directions, light imports."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "rsir"
LINES, WIDTH = 400, 75

# A file imports only from what stands before it here.
ORDER = [
    "errors", "progress", "processes", "repeat",
    "data", "pocket", "encoders", "layers", "recipes", "models",
    "checkpoints", "batches", "train", "twostage", "looks",
    "coarsefine",
    "baseline", "indexkinds", "flatscan", "search", "journal", "folders",
    "published", "reported", "records", "reranked", "reproduce",
    "sidebyside", "tried",
    "byhand", "plots", "figures", "cli", "__main__",
]  # fmt: skip
# Pure functions: anybody may use them, they use only each other.
# `metrics` is the public face of the parts in the second line.
PURE = {"losses", "metrics", "rerank", "rescore"} | {
    "counting", "places", "statistics", "gallery",
}  # fmt: skip
TORCH_FREE = ["rsir", "rsir.data", "rsir.evaluation.metrics", "rsir.cli"]


def code_files():
    for folder in ("rsir", "tools", "tests", "benchmarks"):
        yield from sorted((ROOT / folder).rglob("*.py"))


@cache
def modules() -> dict[str, Path]:
    """{dotted name: file} of the package."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = list(path.relative_to(ROOT).with_suffix("").parts)
        if parts[-1] == "__init__":
            parts.pop()
        found[".".join(parts)] = path
    return found


def imports(name: str, path: Path, top_only=False) -> set[str]:
    """Our own modules that the file at `path` imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = name.split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    nodes = run_on_import(tree) if top_only else ast.walk(tree)
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                up = package[: len(package) - node.level + 1]
                base = ".".join([*up, base] if base else up)
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                found.add(whole if whole in modules() else base)
    return {n for n in found if n.split(".")[0] == "rsir"} - {name}


def run_on_import(node):
    """The nodes that run when the file is imported."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        yield child
        yield from run_on_import(child)


def room(name: str) -> str:
    """`toyscenes.geometry` -> `data`; `rsir` -> ``."""
    return ".".join(name.split(".")[1:2])


def wrong_direction(name: str, target: str) -> bool:
    ours, theirs = room(name), room(target)
    if not theirs or ours == theirs or theirs in PURE:
        return False
    if ours in PURE:
        return True
    return ORDER.index(theirs) >= ORDER.index(ours)


def find_cycle(graph: dict[str, set[str]]) -> list[str]:
    """Names along one circle of `graph`, or an empty list."""
    state: dict[str, int] = {}

    def walk(node, trail):
        state[node] = 1
        for target in sorted(graph.get(node, ())):
            if state.get(target) == 1:
                return [*trail[trail.index(target) :], target]
            if target not in state:
                circle = walk(target, [*trail, target])
                if circle:
                    return circle
        state[node] = 2
        return []

    for node in graph:
        if node not in state:
            circle = walk(node, [node])
            if circle:
                return circle
    return []


def test_no_file_is_long():
    long = {
        str(path.relative_to(ROOT)): count
        for path in code_files()
        if (count := len(path.read_text().splitlines())) > LINES
    }
    assert not long


def test_lines_fit_a_page():
    wide = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in code_files()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if len(line) > WIDTH
    ]
    assert not wide


def test_every_room_is_known():
    rooms = {room(name) for name in modules()} - {""}
    assert rooms <= {*ORDER, *PURE}, "give the new room its place in ORDER"


def test_imports_point_left():
    wrong = [
        f"{name} imports {target}"
        for name, path in modules().items()
        for target in imports(name, path)
        if room(name) and wrong_direction(name, target)
    ]
    assert not wrong


def test_the_root_imports_lazily():
    assert not imports("rsir", PACKAGE / "__init__.py", top_only=True)


def test_no_import_circles():
    graph = {
        name: imports(name, path, top_only=True) for name, path in modules().items()
    }
    # `from rsir.data.x import y` inside rsir.data names the package too,
    # but asks only for the part of it that is loaded already.
    assert find_cycle(graph) == []


def test_a_circle_would_be_found():
    assert find_cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == [
        "b",
        "c",
        "b",
    ]
    assert find_cycle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_a_wrong_direction_would_be_found():
    assert wrong_direction("rsir.data.text", "rsir.models.amfmn")
    assert wrong_direction("rsir.evaluation.metrics", "rsir.data")
    assert not wrong_direction("rsir.models.amfmn", "rsir.data.text")
    assert not wrong_direction("rsir.data.text", "rsir.evaluation.metrics")


def test_folders_of_code_are_packages():
    """A folder without `__init__.py` is missing from the wheel."""
    for path in PACKAGE.rglob("*.py"):
        assert (path.parent / "__init__.py").exists(), path.parent.name


@pytest.mark.parametrize("name", TORCH_FREE)
def test_light_imports_stay_light(name):
    code = (
        f"import sys, {name}; "
        "heavy = {'torch', 'torchvision', 'transformers', 'timm', "
        "'matplotlib', 'faiss'} & set(sys.modules); "
        "print(sorted(heavy))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def tracked() -> list[Path]:
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.split("\0") if name]


def test_no_path_of_a_writers_machine():
    """Files name no place that only the machine of a writer has."""
    words = ["/" + "work/", "shared" + "/data", "shared" + "/reference"]
    guilty = []
    for path in tracked():
        name = path.relative_to(ROOT).as_posix()
        if not path.is_file() or name.startswith("web/mathjax/"):
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        allowed = words[1:2] if name == ".ci/run" else []
        guilty += [
            f"{name}: {word}" for word in words if word in text and word not in allowed
        ]
    assert not guilty


def test_no_word_about_widgets():
    """tqdm would like ipywidgets and says so on stderr in a kernel."""
    code = (
        "import rsir, warnings; "
        "warnings.warn('IProgress not found. Please update jupyter')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr == ""
