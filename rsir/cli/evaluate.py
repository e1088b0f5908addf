"""`rsir evaluate`: score a similarity matrix of your own.

Only numpy is loaded, so the command answers within a second or two.
"""

import json
import zipfile
from pathlib import Path
from typing import Annotated

from rsir.cli.options import Scores, option
from rsir.utils.errors import RsirError
from rsir.utils.io import read_lines

UNREADABLE = {
    FileNotFoundError: "no such file; check the path",
    IsADirectoryError: "is a folder; name a .npy file in it",
    PermissionError: "no permission to read; change the file's mode",
}
SAVE = "numpy.save(path, array)"
OF_TORCH = "torch.load({}, map_location='cpu').detach().double().numpy()"
PICKLE = "a pickle, which can run any code; only if you trust it"
#: how a file begins, what it is, and Python that reads it
KINDS = [
    (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "a PyTorch file", OF_TORCH),
    (b"\x80", PICKLE, "numpy.load({}, allow_pickle=True)"),
    (b"MATLAB 5", "a MATLAB file", "scipy.io.loadmat({})['NAME']"),
    (b"MATLAB 7", "an HDF5 file", "h5py.File({})['NAME'][:]"),
    (b"\x89HDF", "an HDF5 file", "h5py.File({})['NAME'][:]"),
]


def evaluate_command(
    scores: Scores,
    scores_t2i: Annotated[
        Path | None, option("Another matrix of that shape, which answers the captions.")
    ] = None,
    owner: Annotated[
        Path | None,
        option(
            "The image of each caption as .npy, counted from 0; -1: of none. "
            "Without it captions are dealt evenly in order."
        ),
    ] = None,
    ties: Annotated[
        str, option("expected, optimistic, pessimistic or released.")
    ] = "expected",
    captions: Annotated[
        Path | None,
        option("UTF-8 text, a caption a line, in the order of the columns."),
    ] = None,
    gallery: Annotated[
        str,
        option(
            "full, or deduplicated: of each image every text once, as the code "
            "of CFITR does. Not the field's protocol; needs --captions."
        ),
    ] = "full",
    as_json: Annotated[bool, option("Print one JSON object alone.", "--json")] = False,
    bootstrap: Annotated[
        int, option("Draws behind the 95 % intervals; 0 leaves them out.")
    ] = 1000,
    seed: Annotated[int, option("Seed of the bootstrap.")] = 0,
) -> None:
    """Recall@1/5/10 both ways and mR of a score matrix, in percent."""
    from rsir.evaluation.metrics import evaluate

    if (gallery != "full") != (captions is not None):
        raise RsirError(
            "--gallery: deduplicated needs --captions C.txt, the text of each "
            "caption, and full has no use for it; give both or none."
        )
    try:
        report = evaluate(
            load_array(scores, "--scores"),
            owner and load_array(owner, "--owner"),
            scores_t2i=scores_t2i and load_array(scores_t2i, "--scores-t2i"),
            ties=ties,
            gallery=gallery,
            captions=captions and read_lines(captions, "--captions"),
            bootstrap=bootstrap,
            seed=seed,
        )
    except RsirError:
        raise
    except ValueError as error:
        given = [scores, scores_t2i, owner, captions]
        files = ", ".join(str(path) for path in given if path is not None)
        raise RsirError(f"{files}: {error}") from error
    print_report(report, as_json)


def print_report(report, as_json: bool) -> None:
    """A `Report` as a table, or as one JSON object for a script."""
    if as_json:
        full = report.to_dict()
        del full["median_rank"]
        report = json.dumps(full)
    print(report)


def load_array(path: Path, option: str):
    """One .npy array, mapped from the disk; nothing that it holds is run.

    option: the one that named the file, for the message.

    Raises:
        RsirError: no such file, not .npy, damaged, or pickled objects;
            says what the file is and how to make a .npy of it.
    """
    import numpy as np

    try:
        with open(path, "rb") as file:
            start = file.read(512)
        if start.startswith(b"\x93NUMPY"):
            return np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # a damaged header is parsed as Python
        said = f"is damaged ({one_line(error)}); write it again with {SAVE}"
        if "object" in str(error):
            said = f"holds pickled objects; save numbers with {SAVE}"
        said = UNREADABLE.get(type(error), said)
        raise RsirError(f"{path}: {option}: {said}.") from error
    kind, read = _kind(path, start)
    said = f"{path}: {option}: is {kind}, not .npy;"
    if read is None:
        raise RsirError(f"{said} save one array with {SAVE}.")
    modules = ", ".join(sorted({"numpy", read.split("(")[0].rpartition(".")[0]}))
    if option == "--owner":
        read = f"numpy.array({read}).astype(int)"
    made = path.with_suffix(".npy")
    if made == path:
        made = path.with_name(f"{path.stem}-new.npy")
    code = f"import {modules}; numpy.save({str(made)!r}, {read})"
    raise RsirError(f'{said} make one: python -c "{code}"')


def _kind(path: Path, start: bytes) -> tuple[str, str | None]:
    """What a file is, by its first bytes, and Python that reads it."""
    name = repr(str(path))
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            inside = archive.namelist()
        if any(item.endswith("/data.pkl") for item in inside):
            return "a PyTorch file", OF_TORCH.format(name)
        arrays = [item[:-4] for item in inside if item.endswith(".npy")]
        if not arrays:
            return "a zip archive", None
        read = f"numpy.load({name})[{arrays[0]!r}]"
        return f"an .npz archive ({', '.join(arrays)})", read
    for sign, kind, read in KINDS:
        if start.startswith(sign):
            return kind, read.format(name)
    if path.suffix == ".safetensors":
        return "a safetensors file", f"safetensors.numpy.load_file({name})['NAME']"
    text = start.decode("utf-8", "replace").lstrip("\ufeff").lstrip()
    if not text or "\ufffd" in text[:-1] or "\0" in text:
        return ("of an unknown kind" if start else "empty"), None
    if text[0] == "[":
        return "a JSON file", f"json.load(open({name}))"
    comma = next((sign for sign in ",;\t" if sign in text), None)
    options = f", delimiter={comma!r}" if comma else ""
    heads = [(line.split(comma) or [""])[0] for line in text.splitlines()[:2]]
    if not any(map(_is_number, heads)):
        return "a text without numbers", None
    if not _is_number(heads[0]):
        options += ", skiprows=1"
    return "a text file", f"numpy.loadtxt({name}{options})"


def _is_number(text: str) -> bool:
    try:
        return float(text) is not None
    except ValueError:
        return False


def one_line(error: Exception) -> str:
    """The message of a foreign error, on one line and not too long."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 120 else text[:117] + "..."
