"""`rsir evaluate`: score a similarity matrix of your own.

    rsir evaluate --scores S.npy [--owner O.npy] [--ties RULE] [--json]
    rsir evaluate --scores I2T.npy --scores-t2i T2I.npy
    rsir evaluate --scores S.npy --captions C.txt --gallery deduplicated

Only numpy is loaded, so the command answers within a second or two.
Chapter 01 explains the numbers.
"""

import json
import zipfile
from pathlib import Path
from typing import Annotated

from rsir.cli.options import option
from rsir.utils.errors import RsirError
from rsir.utils.io import read_lines


def evaluate_command(
    scores: Annotated[
        Path, option("Scores, n_images x n_captions, as .npy; higher is closer.")
    ],
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
    if as_json:
        full = report.to_dict()
        del full["median_rank"]
        print(json.dumps(full))
    else:
        print(report)


def load_array(path: Path, option: str):
    """Read one .npy array without running anything that it holds.

    Args:
        path: the file.
        option: the option that named it, for the message.

    Returns:
        A read-only array, mapped from the disk.

    Raises:
        RsirError: no such file, not .npy, damaged, or pickled objects;
            says what the file is and how to make a .npy of it.
    """
    import numpy as np

    if not path.exists():
        raise RsirError(f"{path}: {option}: no such file; check the path.")
    if path.is_dir():
        raise RsirError(f"{path}: {option}: is a folder; name a .npy file in it.")
    try:
        with open(path, "rb") as file:
            start = file.read(512)
        if start.startswith(b"\x93NUMPY"):
            return np.load(path, mmap_mode="r", allow_pickle=False)
    except PermissionError as error:
        raise RsirError(
            f"{path}: {option}: no permission to read; change the file's mode."
        ) from error
    except Exception as error:  # a damaged header is parsed as Python
        if "object" in str(error):
            kind, remedy = "holds pickled objects", "save numbers"
        else:
            kind, remedy = f"is damaged ({one_line(error)})", "write it again"
        raise RsirError(
            f"{path}: {option}: {kind}; {remedy} with numpy.save(path, array)."
        ) from error
    kind, read = _kind(path, start)
    if read is None:
        raise RsirError(
            f"{path}: {option}: is {kind}, not .npy; save one array with "
            "numpy.save(path, array)."
        )
    modules = ", ".join(sorted({"numpy", read.split("(")[0].rpartition(".")[0]}))
    if option == "--owner":
        read = f"numpy.array({read}).astype(int)"
    made = path.with_suffix(".npy")
    if made == path:
        made = path.with_name(f"{path.stem}-new.npy")
    raise RsirError(
        f"{path}: {option}: is {kind}, not .npy; make one: python -c "
        f'"import {modules}; numpy.save({str(made)!r}, {read})"'
    )


def _kind(path: Path, start: bytes) -> tuple[str, str | None]:
    """What a file is, by its first bytes, and Python that reads it."""
    name = repr(str(path))
    of_torch = f"torch.load({name}, map_location='cpu').detach().double().numpy()"
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            inside = archive.namelist()
        if any(item.endswith("/data.pkl") for item in inside):
            return "a PyTorch file", of_torch
        arrays = [item[:-4] for item in inside if item.endswith(".npy")]
        if arrays:
            held = ", ".join(arrays)
            return f"an .npz archive ({held})", f"numpy.load({name})[{arrays[0]!r}]"
        return "a zip archive", None
    if start.startswith(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."):
        return "a PyTorch file", of_torch
    if start.startswith(b"\x80"):
        return (
            "a pickle, which can run any code; only if you trust it",
            f"numpy.load({name}, allow_pickle=True)",
        )
    if start.startswith(b"MATLAB 5"):
        return "a MATLAB file", f"scipy.io.loadmat({name})['NAME']"
    if start.startswith((b"MATLAB 7", b"\x89HDF")):
        return "an HDF5 file", f"h5py.File({name})['NAME'][:]"
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
        float(text)
    except ValueError:
        return False
    return True


def one_line(error: Exception) -> str:
    """The message of a foreign error, on one line and not too long."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 120 else text[:117] + "..."
