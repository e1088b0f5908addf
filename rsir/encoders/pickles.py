"""Read pickled dictionaries of arrays without running anything.

GaLR's authors share their local features as `*_local.npy`: a pickled
dictionary. A pickle may name any function of any library, and
unpickling calls it. In here a pickle can only build dictionaries,
strings and arrays of numbers; even NumPy's own functions are not
called, but noted down by stand-ins and built afterwards, checked.
Explained in chapter 03.
"""

import pickle
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rsir.errors import RsirError

DEPTH = 4  # dictionaries in dictionaries
_NUMBERS = re.compile(r"[<>=|]?[fiub][1248]\d?|[<>=|]?b1")
_MODULES = re.compile(r"numpy\._?core\.(multiarray|numeric)|numpy")


class _Refused(Exception):
    """What the pickle asks for is not admitted."""


class _Name:
    """Stands for a class that a pickle may name, but not call."""

    __slots__ = ()

    def __setstate__(self, state):
        raise _Refused("a state for a class")


class _Call(_Name):
    """Stands for a function: hands its arguments to a stand-in."""

    __slots__ = ("make",)

    def __init__(self, make):
        object.__setattr__(self, "make", make)

    def __setattr__(self, name, value):
        raise _Refused("a changed function")

    def __call__(self, *arguments):
        return self.make(*arguments)


class _Type:
    """Stands for a dtype."""

    def __init__(self, code, *_):
        self.code, self.order = code, "|"

    def __setstate__(self, state):
        self.order = state[1]

    @property
    def is_object(self) -> bool:
        return str(self.code).lstrip("|") in ("O", "O8", "O4")

    def build(self) -> np.dtype:
        code = self.code
        if not isinstance(code, str) or not _NUMBERS.fullmatch(code):
            raise _Refused(f"an array of {code!r}")
        kind = np.dtype(code)
        return kind.newbyteorder(self.order) if self.order in (
            "<", ">") else kind


class _Array:
    """Stands for an array until its state is known."""

    def __init__(self, *_):
        self.shape, self.type, self.data = None, None, None
        self.fortran = False

    def __setstate__(self, state):
        _, self.shape, self.type, self.fortran, self.data = state

    @classmethod
    def from_buffer(cls, data, kind, shape, order="C"):
        array = cls()
        array.__setstate__((1, shape, kind, order == "F", data))
        return array

    def build(self) -> np.ndarray:
        data, shape = self.data, self.shape
        if isinstance(data, str):  # pickled by Python 2
            data = data.encode("latin1")
        if not isinstance(self.type, _Type) or not isinstance(
            data, bytes | bytearray
        ):
            raise _Refused("an array of objects")
        if not isinstance(shape, tuple) or not all(
            isinstance(n, int) and n >= 0 for n in shape
        ):
            raise _Refused("an array without a shape")
        flat = np.frombuffer(bytes(data), self.type.build())
        order = "F" if self.fortran else "C"
        native = flat.dtype.newbyteorder("=")
        return flat.reshape(shape, order=order).astype(native)

    def item(self):
        """The one object of an array of objects without axes."""
        if isinstance(self.type, _Type) and self.type.is_object and \
                self.shape == () and isinstance(self.data, list) and \
                len(self.data) == 1:
            return self.data[0]
        return self


def _latin1(text, codec):
    """Bytes, as Python 3 writes them in old protocols."""
    if not isinstance(text, str) or codec != "latin1":
        raise _Refused(f"the codec {codec!r}")
    return text.encode("latin1")


class _Unpickler(pickle.Unpickler):
    """Admits the few names that arrays of numbers need."""

    def __init__(self, file):
        super().__init__(file, encoding="latin1")
        self._known = {  # new ones each time: nothing is shared
            "_reconstruct": _Call(_Array),
            "_frombuffer": _Call(_Array.from_buffer),
            "dtype": _Call(_Type),
            "ndarray": _Name(),
        }

    def find_class(self, module, name):
        if (module, name) == ("_codecs", "encode"):
            return _Call(_latin1)
        if (module, name) == ("__builtin__", "bytes"):
            return _Call(lambda: b"")  # of an empty array
        if _MODULES.fullmatch(module) and name in self._known:
            return self._known[name]
        raise _Refused(f"{module}.{name}")

    def persistent_load(self, key):
        raise _Refused("a persistent id")


def read_pickle(path: str | Path) -> dict:
    """A pickled dictionary of strings, arrays and dictionaries.

    Args:
        path: a pickle, or a `.npy` file that holds one.

    Returns:
        The dictionary; its keys are strings, its arrays hold numbers.

    Raises:
        RsirError: if the file holds anything else; nothing in it is
            run.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            _skip_header(file)
            value = _Unpickler(file).load()
        if isinstance(value, _Array):
            value = value.item()
        if not isinstance(value, dict):
            raise _Refused(f"{_kind(value)}, not a dictionary")
        return _built(value, "")
    except FileNotFoundError as error:
        raise RsirError(f"{path}: not found") from error
    except _Refused as error:
        raise RsirError(
            f"{path}: refused, because it holds {error}; only "
            "dictionaries, strings and arrays of numbers are read"
        ) from error
    except Exception as error:  # a damaged pickle fails in any way
        raise RsirError(
            f"{path}: not a readable pickle ({error}); fetch it again"
        ) from error


def _skip_header(file) -> None:
    """Go to the pickle: past the header of a `.npy` file, if any."""
    npy = file.read(6) == b"\x93NUMPY"
    file.seek(0)
    if not npy:
        return
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) \
        else np.lib.format.read_array_header_2_0
    _, _, kind = read(file)
    if not kind.hasobject:
        raise _Refused(f"an array of {kind}, not a dictionary")


def _kind(value) -> str:
    name = "array" if isinstance(value, _Array) else type(
        value).__name__.lstrip("_").lower()
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _built(value, where: str, depth: int = 0):
    """`value` with arrays in place of stand-ins; refuse the rest."""
    if isinstance(value, str):
        return value
    if isinstance(value, _Array):
        try:
            return value.build()
        except _Refused as error:
            raise _Refused(f"{error} at {where}") from error
    if not isinstance(value, dict):
        raise _Refused(f"{_kind(value)} at {where}")
    if depth >= DEPTH:
        raise _Refused(f"dictionaries deeper than {DEPTH} at {where}")
    wrong = [key for key in value if not isinstance(key, str)]
    if wrong:
        raise _Refused(f"{_kind(wrong[0])} as a key at {where or '/'}")
    return {key: _built(one, f"{where}/{key}", depth + 1)
            for key, one in value.items()}


def released_local(path: str | Path, ids: Sequence[str]
                   ) -> dict[str, np.ndarray]:
    """X and A that GaLR's authors share, for some pictures.

    Args:
        path: their `rsicd_local.npy` or `rsitmd_local.npy`.
        ids: file names of the pictures, with any ending.

    Returns:
        "nodes" and "adjacency", float32 `[n, 20, 20]` each.

    Raises:
        RsirError: for a refused file, a missing picture or a shape.
    """
    held, out = read_pickle(path), {}
    for name, key in (("nodes", "local_rep"),
                      ("adjacency", "adj_matrix")):
        table = held.get(key)
        if not isinstance(table, dict):
            raise RsirError(
                f"{path}: no {key}; expected the dictionaries "
                "local_rep and adj_matrix"
            )
        keys = [i.split(".")[0] + ".txt" for i in ids]
        missing = [k for k in keys if k not in table]
        if missing:
            raise RsirError(
                f"{path}: {key} lacks {len(missing)} of {len(keys)} "
                f"pictures, the first is {missing[0]}; take the file "
                "of this data set"
            )
        shapes = {k: np.shape(table[k]) for k in keys}
        wrong = [k for k in keys if shapes[k] != (20, 20)]
        if wrong:
            raise RsirError(
                f"{path}: {key} of {wrong[0]} has shape "
                f"{shapes[wrong[0]]}, expected (20, 20)"
            )
        out[name] = np.array([table[k] for k in keys], np.float32)
        out[name] = out[name].reshape(-1, 20, 20)
    return out
