"""Downloads from a server that breaks off, lies and errs.

What all of them show: half a file never gets the name of the whole.
"""

import hashlib
import io
import json
import os
import zipfile

import numpy as np
import pytest
from small_server import Page, serving

from rsir.data.download import Ledger, retrieve
from rsir.utils.errors import RsirError

QUICK = {"tries": 3, "wait": 0.0, "timeout": 5.0}
BODY = np.random.default_rng(0).bytes(600_000)


@pytest.fixture
def web():
    with serving() as (address, pages):
        yield address, pages


def get(web, tmp_path, page, name="data.bin", **options):
    address, pages = web
    pages["/" + name] = page
    ledger = Ledger(tmp_path)
    path = retrieve(
        f"{address}/{name}",
        tmp_path / name,
        ledger,
        **{**QUICK, **options},
    )
    ledger.record()
    return path


def nothing_is_there(tmp_path, name="data.bin"):
    return not (tmp_path / name).exists() and not Ledger(tmp_path).read()


def zipped(**members):
    box = io.BytesIO()
    with zipfile.ZipFile(box, "w", zipfile.ZIP_DEFLATED) as archive:
        for key, data in members.items():
            archive.writestr(key, data)
    return box.getvalue()


def test_a_good_server(web, tmp_path):
    page = Page(BODY)
    assert get(web, tmp_path, page).read_bytes() == BODY
    assert page.asked == [None]
    assert sorted(os.listdir(tmp_path)) == ["checksums.json", "data.bin"]
    [facts] = Ledger(tmp_path).read().values()
    assert facts["sha256"] == hashlib.sha256(BODY).hexdigest()
    assert facts["bytes"] == len(BODY) and facts["first"]


def test_broken_off_and_resumed(web, tmp_path):
    page = Page(BODY, cut=2)
    assert get(web, tmp_path, page).read_bytes() == BODY
    first, *starts = page.asked
    starts = [int(s[6:-1]) for s in starts]
    assert first is None and len(starts) == 2
    assert 0 < starts[0] < starts[1] < len(BODY)


def test_broken_off_for_good_then_resumed_by_the_next_run(web, tmp_path):
    page = Page(BODY, cut=1, status=[0, 503, 503, 503])
    with pytest.raises(RsirError, match="run the same command again"):
        get(web, tmp_path, page)
    assert nothing_is_there(tmp_path)
    part = tmp_path / "data.bin.part"
    have = part.stat().st_size
    assert 0 < have < len(BODY) and BODY.startswith(part.read_bytes())
    page.asked.clear()
    assert get(web, tmp_path, page).read_bytes() == BODY
    assert page.asked == [f"bytes={have}-"]
    assert not part.exists()


def test_broken_chunks_without_a_length(web, tmp_path):
    page = Page(BODY, cut=1, chunked=True)
    assert get(web, tmp_path, page).read_bytes() == BODY
    page = Page(BODY, cut=99, chunked=True)
    (tmp_path / "data.bin").unlink()
    with pytest.raises(RsirError, match="broke off"):
        get(web, tmp_path, page)
    assert not (tmp_path / "data.bin").exists()


def test_length_too_long_is_never_whole(web, tmp_path):
    with pytest.raises(RsirError, match="broke off"):
        get(web, tmp_path, Page(BODY, claim=100))
    assert nothing_is_there(tmp_path)


def test_length_too_short_is_seen_by_the_form(web, tmp_path):
    good = zipped(a=BODY)
    with pytest.raises(RsirError, match="did not bring a whole"):
        get(web, tmp_path, Page(good, claim=-100), "data.zip")
    assert nothing_is_there(tmp_path, "data.zip")
    assert not (tmp_path / "data.zip.part").exists()


def test_length_too_short_is_seen_by_the_checksum(web, tmp_path):
    digest = hashlib.sha256(BODY).hexdigest()
    with pytest.raises(RsirError, match="wrong file.*published"):
        get(web, tmp_path, Page(BODY, claim=-100), sha256=digest)
    assert nothing_is_there(tmp_path)


def test_a_server_that_ignores_range(web, tmp_path):
    page = Page(BODY, cut=1, ranges=False)
    assert get(web, tmp_path, page).read_bytes() == BODY
    assert page.asked[1] is not None


def test_a_range_that_begins_elsewhere(web, tmp_path):
    page = Page(BODY, cut=1, shift=7)
    assert get(web, tmp_path, page).read_bytes() == BODY
    assert page.asked[1] is not None and page.asked[2] is None


def test_a_file_that_changed_is_begun_anew(web, tmp_path):
    other = BODY[::-1] + b"more"
    page = Page(BODY, cut=1, then=other)
    assert get(web, tmp_path, page).read_bytes() == other


def test_without_a_tag_nothing_is_glued(web, tmp_path):
    page = Page(BODY, cut=1, tag=False, then=BODY[::-1])
    assert get(web, tmp_path, page).read_bytes() == BODY[::-1]
    assert page.asked == [None, None]


def test_a_part_of_another_file_is_not_used(web, tmp_path):
    (tmp_path / "data.bin.part").write_bytes(b"old" * 1000)
    assert get(web, tmp_path, Page(BODY)).read_bytes() == BODY
    (tmp_path / "data.bin").unlink()
    (tmp_path / "data.bin.part").write_bytes(b"old" * 1000)
    (tmp_path / "data.bin.part.json").write_text(
        json.dumps({"url": "http://elsewhere/data.bin", "tag": '"x"', "total": 9})
    )
    assert get(web, tmp_path, Page(BODY)).read_bytes() == BODY


def test_a_part_longer_than_the_file(web, tmp_path):
    tag = f'"{hashlib.md5(BODY).hexdigest()}"'
    (tmp_path / "data.bin.part").write_bytes(BODY + b"tail")
    (tmp_path / "data.bin.part.json").write_text(
        json.dumps({"url": f"{web[0]}/data.bin", "tag": tag, "total": len(BODY)})
    )
    assert get(web, tmp_path, Page(BODY)).read_bytes() == BODY


def test_a_wrong_file_against_the_published_checksum(web, tmp_path):
    with pytest.raises(RsirError, match="published checksum"):
        get(web, tmp_path, Page(BODY[::-1]), sha256=hashlib.sha256(BODY).hexdigest())
    assert nothing_is_there(tmp_path)


def test_the_first_checksum_holds_ever_after(web, tmp_path):
    get(web, tmp_path, Page(BODY))
    before = Ledger(tmp_path).path.read_bytes()
    (tmp_path / "data.bin").unlink()
    with pytest.raises(RsirError, match="recorded at the first download"):
        get(web, tmp_path, Page(BODY[::-1]))
    assert not (tmp_path / "data.bin").exists()
    assert Ledger(tmp_path).path.read_bytes() == before
    assert get(web, tmp_path, Page(BODY)).read_bytes() == BODY


def test_a_file_damaged_on_disk_is_fetched_again(web, tmp_path):
    path = get(web, tmp_path, Page(BODY))
    page = Page(BODY)
    assert get(web, tmp_path, page) == path and page.asked == []
    path.write_bytes(BODY[:1000])
    assert get(web, tmp_path, page).read_bytes() == BODY


def test_published_and_recorded_checksum_disagree(web, tmp_path):
    get(web, tmp_path, Page(BODY))
    with pytest.raises(RsirError, match="delete that entry"):
        get(web, tmp_path, Page(BODY), sha256="0" * 64)


def test_a_damaged_record_is_not_overwritten(web, tmp_path):
    Ledger(tmp_path).path.write_text("{")
    with pytest.raises(RsirError, match="not readable as JSON"):
        get(web, tmp_path, Page(BODY))
    assert Ledger(tmp_path).path.read_text() == "{"


def test_a_part_that_was_whole_already(web, tmp_path):
    tag = f'"{hashlib.md5(BODY).hexdigest()}"'
    (tmp_path / "data.bin.part").write_bytes(BODY)
    (tmp_path / "data.bin.part.json").write_text(
        json.dumps({"url": f"{web[0]}/data.bin", "tag": tag, "total": len(BODY)})
    )
    page = Page(BODY)
    assert get(web, tmp_path, page).read_bytes() == BODY
    assert page.asked == [f"bytes={len(BODY)}-"]


PAGE = b"<!DOCTYPE html><title>Sign in</title>"


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("a.zip", PAGE, "web page"),
        ("a.parquet", PAGE, "web page"),
        ("a.json", b"<html><body>quota", "web page"),
        ("a.json", b'{"images": [', "no JSON"),
        ("a.zip", zipped(a=BODY)[:-50], "no whole zip"),
        ("a.zip", b"PK\3\4" + BODY, "no whole zip"),
        ("a.parquet", b"PAR1" + BODY, "parquet"),
        ("a.rar", b"Rat!" + BODY, "rar"),
        ("a.rar", b"PK\3\4" + BODY, "no whole zip"),
    ],
)
def test_what_is_no_such_file(web, tmp_path, name, content, message):
    with pytest.raises(RsirError, match=message):
        get(web, tmp_path, Page(content), name)
    assert nothing_is_there(tmp_path, name)


def test_a_member_with_flipped_bits(web, tmp_path):
    box = io.BytesIO()
    with zipfile.ZipFile(box, "w") as archive:
        archive.writestr("a", BODY)
    data = bytearray(box.getvalue())
    data[3000] ^= 255
    with pytest.raises(RsirError, match="member a is damaged"):
        get(web, tmp_path, Page(bytes(data)), "a.zip")


def test_states_of_the_server(web, tmp_path):
    page = Page(BODY, status=[503, 429])
    assert get(web, tmp_path, page).read_bytes() == BODY
    (tmp_path / "data.bin").unlink()
    for code in (403, 404):
        with pytest.raises(RsirError, match=f"answers {code}"):
            get(web, tmp_path, Page(BODY, status=[code] * 9))
    with pytest.raises(RsirError, match="broke off.*503"):
        get(web, tmp_path, Page(BODY, status=[503] * 9))


def test_nobody_answers(tmp_path):
    with serving() as (address, _):
        pass
    with pytest.raises(RsirError, match="broke off"):
        retrieve(
            f"{address}/data.bin", tmp_path / "data.bin", Ledger(tmp_path), **QUICK
        )


def test_progress_goes_to_stdout(web, tmp_path, capfd):
    get(web, tmp_path, Page(BODY), show=True)
    out, err = capfd.readouterr()
    assert "data.bin" in out and err == ""
