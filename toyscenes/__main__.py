"""`python -m toyscenes OUT` draws a data set into the folder OUT.

OUT then holds `dataset_toy.json`, laid out as Karpathy's files are, and
`images/`; `rsir.data.load_dataset(OUT)` reads it like any other.
"""

import argparse
import sys

import toyscenes


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(2, f"toyscenes: {message}; see python -m toyscenes --help\n")


def _sizes(text):
    try:
        return tuple(int(n) for n in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not three whole numbers; give for example 1000,150,150"
        ) from None


def main(arguments=None):
    """Run the command; return its exit code."""
    parser = _Parser(prog="python -m toyscenes", description=__doc__)
    add = parser.add_argument
    add("out", metavar="OUT", help="the folder to be made")
    add("--sizes", type=_sizes, default=(1000, 150, 150), help="train,val,test")
    for name, value in (
        ("duplicates", toyscenes.DUPLICATES),
        ("similarity", toyscenes.SIMILARITY),
    ):
        add(f"--{name}", type=float, default=value, help="0..1 (default %(default)s)")
    add("--seed", type=int, default=0, help="from 0 up (default %(default)s)")
    add("--size", type=int, default=256, help="pixels (default %(default)s)")
    add("--workers", type=int, help="processes (default: one a core)")
    knobs = vars(parser.parse_args(arguments))
    try:
        toyscenes.draw(knobs.pop("out"), **knobs)
    except toyscenes.ToySceneError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
