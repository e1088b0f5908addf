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
    parser = _Parser(
        "python -m toyscenes",
        description=__doc__.replace("`", ""),
        argument_default=argparse.SUPPRESS,
    )
    add = parser.add_argument
    add("out", metavar="OUT", help="the folder to be made")
    for name, kind, sign, meaning in (
        ("sizes", _sizes, "A,B,C", "train, val, test pictures (1000,150,150)"),
        ("duplicates", float, "SHARE", "of general captions, 0..1 (0.25)"),
        ("similarity", float, "SHARE", "how alike a kind is, 0..1 (0.25)"),
        ("seed", int, "N", "another seed, other pictures (0)"),
        ("size", int, "PIXELS", "edge of a picture (256)"),
        ("world", str, "NAME", "a world, such as lines (none: all kinds)"),
        ("workers", int, "N", "processes (one a core)"),
    ):
        add(f"--{name}", type=kind, metavar=sign, help=meaning)
    knobs = vars(parser.parse_args(arguments))
    try:
        toyscenes.draw(knobs.pop("out"), **knobs)
    except toyscenes.ToySceneError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
