"""Progress: a bar on a terminal, one final line anywhere else."""

import sys
import time
from collections.abc import Iterable, Iterator


def track(
    items: Iterable, label: str, *, total: int | None = None, show: bool = True
) -> Iterator:
    """Go through `items` and show how far it got.

    On a terminal: a bar on stderr. In a notebook, a pipe or a log:
    one line on stdout when it is done, so that stored outputs stay
    short and hold no control characters.

    Args:
        items: what to go through.
        label: what is being done, such as "features of toy train".
        total: how many, where `len(items)` does not work.
        show: False: silent.
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
