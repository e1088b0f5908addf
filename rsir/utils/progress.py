"""Progress: a bar on a terminal, one final line anywhere else."""

import sys
import time
from collections.abc import Iterable, Iterator


def track(
    items: Iterable, label: str, *, total: int | None = None, show: bool = True
) -> Iterator:
    """Go through `items` and show how far it got, unless `show` is False.

    On a terminal: a bar on stderr. In a notebook, a pipe or a log: one line on
    stdout when it is done. `label` says what is done; `total` how many there
    are, where `len(items)` does not work.
    """
    if not show:
        yield from items
        return
    if sys.stderr.isatty() and "ipykernel" not in sys.modules:
        from tqdm import tqdm

        yield from tqdm(items, desc=label, total=total, dynamic_ncols=True)
        return
    start = time.perf_counter()
    yield from items
    seconds = time.perf_counter() - start
    print(f"{label}: done in {seconds:.0f} s", flush=True)
