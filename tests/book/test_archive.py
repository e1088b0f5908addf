"""The book as one zip: the same every time, and readable unpacked."""

import zipfile
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import archive
import pytest
from browsing import HTML, browser  # noqa: F401 (a fixture)
from conftest import skip_or_fail


def small_book(folder):
    (folder / "book").mkdir(parents=True)
    (folder / "index.html").write_text("<p>first</p>")
    (folder / "book/a.html").write_text("<p>second</p>")
    (folder / "objects.inv").write_text("for other books")
    return folder


def test_one_book_gives_one_archive(tmp_path):
    book = small_book(tmp_path / "html")
    one, two = tmp_path / "one/b.zip", tmp_path / "two/b.zip"
    for out in (one, two):
        out.parent.mkdir()
        assert archive.pack(book, out) == 2
        (book / "index.html").touch()
    assert one.read_bytes() == two.read_bytes()
    with zipfile.ZipFile(one) as found:
        assert found.namelist() == ["b/book/a.html", "b/index.html"]


def test_without_a_book_there_is_no_archive(tmp_path):
    with pytest.raises(FileNotFoundError, match="make book"):
        archive.pack(tmp_path, tmp_path / "b.zip")
    assert not list(tmp_path.iterdir())


@pytest.mark.pages
def test_the_unpacked_book_needs_no_server(browser, tmp_path):
    if not (HTML / "index.html").exists():
        skip_or_fail("the book is not built: run `make book` first")
    out = tmp_path / "book.zip"
    archive.pack(HTML, out)
    with zipfile.ZipFile(out) as packed:
        packed.extractall(tmp_path)
    window = browser.new_context()
    page = window.new_page()
    asked, said = [], []
    page.on("request", lambda r: asked.append(r.url))

    def failed(request):
        # the first page may leave for the next before its icon has
        # come: no fault, if the file is there
        there = Path(url2pathname(urlsplit(request.url).path))
        if request.failure != "net::ERR_ABORTED" or not there.is_file():
            said.append(f"{request.url} {request.failure}")

    page.on("requestfailed", failed)
    page.on("pageerror", lambda e: said.append(str(e)))
    page.on(
        "console",
        lambda m: m.type == "error" and said.append(m.text),
    )
    home = (tmp_path / "book").as_uri()
    page.goto(f"{home}/index.html", wait_until="load")
    page.wait_for_url("**/book/intro.html")
    page.goto(f"{home}/notebooks/02_amfmn.html", wait_until="load")
    page.evaluate("() => MathJax.startup.promise")
    assert page.locator("mjx-container").count() > 10
    page.goto(f"{home}/book/explorer.html", wait_until="load")
    assert page.locator(".ex-system").count() >= 1
    assert page.locator(".ex-tile").count() >= 10
    assert said == []
    # titles are found; excerpts a browser keeps from pages on a disk
    page.goto(f"{home}/search.html?q=margin", wait_until="load")
    page.locator("#search-results li a").first.wait_for()
    assert all(url.startswith(("file:", "data:")) for url in asked)
    window.close()
