"""What is kept of a score matrix: a few small numbers per query.

`rsir.metrics` makes them and turns them into recalls.
"""

import os
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Places:
    """Where the first correct item of each query stands. [n_queries]

    better: wrong items scored strictly above the best correct one.
    equal: wrong items tied with it.
    own: correct items tied with it, itself included.
    released: 0-based place under a stable argsort, reversed.
    """

    better: np.ndarray
    equal: np.ndarray
    own: np.ndarray
    released: np.ndarray


@dataclass(frozen=True)
class Ranks:
    """All that a recall needs to know of a score matrix.

    Small enough to keep beside a record; every tie rule, interval and
    comparison can be recomputed from it without the matrix.

    i2t: places for the image queries, [n_images].
    t2i: places for the caption queries, [n_captions].
    owner: [n_captions], the image of each caption.
    duplicate_aware: equal captions counted as correct (not the
        published protocol).
    """

    i2t: Places
    t2i: Places
    owner: np.ndarray
    duplicate_aware: bool = False

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Arrays for an .npz: i2t_better, ..., t2i_released, owner."""
        arrays = {
            f"{side}_{name}": array
            for side in ("i2t", "t2i")
            for name, array in vars(getattr(self, side)).items()
        }
        arrays["owner"] = self.owner
        arrays["duplicate_aware"] = np.array(self.duplicate_aware)
        return {k: _smallest(v) for k, v in arrays.items()}

    @classmethod
    def from_arrays(cls, arrays) -> "Ranks":
        """The inverse of `to_arrays`; takes an open .npz as well.

        Raises:
            ValueError: an array is missing.
        """
        need = [
            f"{side}_{name}"
            for side in ("i2t", "t2i")
            for name in Places.__dataclass_fields__
        ]
        missing = [k for k in [*need, "owner"] if k not in arrays]
        if missing:
            raise ValueError(
                f"ranks: missing {', '.join(missing)}; write the file "
                "with Ranks.save."
            )
        wide = [arrays[k].astype(np.int64) for k in need]
        return cls(
            Places(*wide[:4]),
            Places(*wide[4:]),
            arrays["owner"].astype(np.int64),
            bool(arrays.get("duplicate_aware", False)),
        )

    def save(self, path) -> None:
        """Write an .npz, aside first and then in place at once."""
        aside = f"{os.fspath(path)}.{os.getpid()}.part"
        with open(aside, "wb") as file:
            np.savez_compressed(file, **self.to_arrays())
        os.replace(aside, path)

    @classmethod
    def load(cls, path) -> "Ranks":
        """Read what `save` wrote. No pickle is ever loaded."""
        with np.load(path, allow_pickle=False) as arrays:
            return cls.from_arrays(dict(arrays))


def _smallest(array):
    """The same numbers in the smallest unsigned type that holds them."""
    if array.dtype == bool:
        return array
    return array.astype(np.min_scalar_type(int(array.max(initial=0))))
