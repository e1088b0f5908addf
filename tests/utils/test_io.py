"""Files are read and written in one way, with errors that name them."""

import pytest
from alone import start

from rsir.utils import io
from rsir.utils.errors import RsirError
from rsir.utils.io import atomic_write, locked, read_lines

ODD = ["one\x85 next line sign", "two \u2028 line separator", "", "four\x0b\x1c", "é"]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("last", [True, False])
def test_only_a_line_end_ends_a_line(tmp_path, end, mark, last):
    path = tmp_path / "C.txt"
    path.write_bytes(mark + (end.join(ODD) + end * last).encode())
    assert read_lines(path) == ODD
    path.write_bytes(mark)
    assert read_lines(path) == []


def test_what_cannot_be_read_is_named(tmp_path):
    for read in (io.read_bytes, io.read_text, read_lines, io.sha256_of):
        with pytest.raises(RsirError, match="word list not found: .*none.txt"):
            read(tmp_path / "none.txt", "word list")
        with pytest.raises(RsirError, match="is a folder, not a file"):
            read(tmp_path)
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    with pytest.raises(RsirError, match=r"not UTF-8 text \(byte 3\); save it as UTF-8"):
        read_lines(tmp_path / "latin.txt")


def test_a_failed_write_leaves_what_stood_there(tmp_path):
    path = tmp_path / "deep" / "x.txt"
    with atomic_write(path) as file:
        file.write("one\n")
    with pytest.raises(ZeroDivisionError), atomic_write(path) as file:
        file.write("two")
        1 / 0
    assert path.read_bytes() == b"one\n"
    assert [p.name for p in path.parent.iterdir()] == ["x.txt"]


HOLDER = """
import sys, time
from rsir.utils.io import locked
with locked(sys.argv[1], "the index"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_waits_or_says_what_to_do(tmp_path):
    path = tmp_path / "home" / "lock"
    with start("-c", HOLDER, path) as other:
        assert other.stdout.readline() == "held\n"
        for wait in (0, 0.2):
            with pytest.raises(RsirError, match="lock: .*at work on the index; wait"):
                with locked(path, "the index", wait=wait):
                    raise AssertionError("two at once")
        other.kill()
    # a killed process blocks nobody; what fails inside is not dressed up
    with pytest.raises(KeyError), locked(path, "the index", wait=5):
        raise KeyError
    with locked(path, "the index", wait=0):
        pass
