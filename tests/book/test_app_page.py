"""The app of an archive, clicked and typed through in a browser."""

import json
import socket

import pytest
from browsing import WIDTHS, Visit, browser  # noqa: F401 (fixture)
from PIL import Image
from skips import skip_or_fail
from small_scenes import archive, build, folder, ground, model, scene  # noqa: F401

from rsir.archive.app import launch
from rsir.archive.search import search

try:
    import gradio  # noqa: F401
except ImportError:
    skip_or_fail("gradio is not installed: pip install '.[app]'")

pytestmark = pytest.mark.pages


@pytest.fixture
def visit(browser, archive, model, request, monkeypatch):
    """The page in a window; neither side may ask another host for anything."""
    away, connect = [], socket.socket.connect

    def watched(self, address):
        if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1"):
            away.append(address)
            raise OSError(f"{address} is another host")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", watched)
    monkeypatch.setattr(socket, "getaddrinfo", no_names(socket.getaddrinfo, away))
    app = launch(model, archive)
    window = browser.new_context(viewport=WIDTHS[request.param], accept_downloads=True)
    visit = Visit(window, app.local_url.rstrip("/"), "")
    visit.page.get_by_label("What should the picture show?").wait_for()
    yield visit
    window.close()
    app.close(verbose=False)
    assert all(url.startswith((app.local_url, "data:", "blob:")) for url in visit.asked)
    assert away == []
    # Gradio ends its stream of events when all is told, and says that it cannot
    assert all("/queue/data?" in url for url in visit.failed)
    assert set(visit.said) <= {"Method not implemented."}


def no_names(lookup, away):
    """Names of this machine are looked up, others are noted."""

    def watched(host, *more, **options):
        if host not in ("127.0.0.1", "::1", "localhost", None):
            away.append(host)
        return lookup(host, *more, **options)

    return watched


def captions(page):
    return page.locator(".caption-label").all_inner_texts()


@pytest.mark.parametrize("visit", list(WIDTHS), indirect=True)
def test_the_page_answers_a_keyboard_and_a_mouse(visit, archive, model, tmp_path):
    page = visit.page
    want = [f"{one.score:.3f}" for one in search(model, archive, "red", 12)]
    # the first thing to type into has the focus; Enter searches
    page.keyboard.type("red")
    page.keyboard.press("Enter")
    page.get_by_text("12 hits in").wait_for()
    page.locator(".caption-label").nth(11).wait_for()
    assert [x.split()[1] for x in captions(page)] == want
    # a picture that is chosen is marked on the map, and its file is told
    first = next(i for i, x in enumerate(captions(page)) if "°N" in x)
    page.locator(".thumbnail-lg").nth(first).click()
    page.locator(".map p").get_by_text("S_20240501.tif").wait_for()
    assert page.locator(".map .chosen text").text_content() == str(first + 1)
    page.locator(".thumbnail-lg").nth(11).press("Enter")
    page.locator(".map p").get_by_text("12: score").wait_for()
    # one click to a file
    with page.expect_download() as file:
        page.get_by_text("Hits as GeoJSON").click()
    assert file.value.suggested_filename == "hits.geojson"
    file.value.save_as(tmp_path / "got")
    features = json.loads((tmp_path / "got").read_text())["features"]
    assert len(features) == sum("°N" in x for x in captions(page)) > 0
    # by keyboard alone: to the button, to the filters, into the box
    page.get_by_label("What should the picture show?").focus()
    for _ in range(2):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_label("Box W,S,E,N").wait_for()
    page.keyboard.press("Tab")
    page.keyboard.type("1,2,3")
    page.keyboard.press("Enter")
    page.get_by_role("alert").get_by_text("box 1,2,3: give four numbers").wait_for()
    page.locator(".caption-label").first.wait_for(state="detached")
    assert captions(page) == [] and page.locator(".map svg").count() == 0
    page.get_by_label("Box W,S,E,N").fill("9,47.8,9.1,47.9")
    page.keyboard.press("Enter")
    page.get_by_text("7 tiles have no coordinates and do not count").wait_for()
    page.locator(".map .box").wait_for(state="attached")
    page.locator(".caption-label").nth(11).wait_for()
    assert len(captions(page)) == 12 and page.get_by_role("alert").count() == 0
    # a picture in place of the sentence
    like = tmp_path / "like.png"
    Image.fromarray(ground(red=[(64, 96)])[64:96, 96:128]).save(like)
    page.locator("input[type=file]").set_input_files(like)
    page.get_by_label("Remove Image").wait_for()
    page.get_by_role("button", name="Search", exact=True).click()
    page.get_by_text("give a sentence or a picture, not both").wait_for()
    page.get_by_label("What should the picture show?").fill("")
    page.get_by_role("button", name="Search", exact=True).click()
    page.get_by_text("12 hits in").wait_for()
    page.locator(".caption-label").nth(11).wait_for()
    assert captions(page)[0].startswith("1: 1.000\n")
    wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not page.evaluate(wide)
