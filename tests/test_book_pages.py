"""Every page of the built book, as a reader's browser sees it.

Run by `make pages` after `make book`. Without a browser or a book the
tests skip and say why; under CI=true such a skip fails.
"""

import functools
import http.server
import os
import re
import shutil
import threading
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlparse

import pytest
from conftest import skip_or_fail
from nbkit import ROOT, chapters, template

pytestmark = pytest.mark.pages

HTML = Path(os.environ.get("RSIR_BOOK", ROOT / "_build/html"))
BROWSERS = (
    "chromium", "chromium-browser", "google-chrome",
    "google-chrome-stable",
)  # fmt: skip
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
    "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
WIDTHS = {"desktop": (1300, 900), "phone": (390, 844)}
REDIRECT = re.compile(r'http-equiv="Refresh" content="0; url=([^"]+)"')


def every_page() -> list[str]:
    return sorted(
        path.relative_to(HTML).as_posix()
        for path in HTML.rglob("*.html")
        if "_static" not in path.relative_to(HTML).parts
    )


@functools.cache
def redirects() -> dict[str, str]:
    """{page: the page that it leads to} of pages without a text."""
    found = {}
    for name in every_page():
        text = (HTML / name).read_text(encoding="utf-8")
        if hit := REDIRECT.search(text):
            found[name] = hit.group(1)
    return found


def pages() -> list[str]:
    return [name for name in every_page() if name not in redirects()]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextmanager
def served(folder: Path):
    """The address of `folder`, served on this machine."""
    handler = functools.partial(Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def site():
    if not (HTML / "index.html").exists():
        skip_or_fail("the book is not built: run `make book` first")
    with served(HTML) as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    found = os.environ.get("RSIR_CHROMIUM") or next(
        filter(None, map(shutil.which, BROWSERS)), None
    )
    if not found:
        skip_or_fail("no Chromium or Chrome on this machine")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        skip_or_fail("playwright is not installed")
    with sync_playwright() as play:
        one = play.chromium.launch(executable_path=found, args=FLAGS)
        yield one
        one.close()


class Visit:
    """One page in one window: what it asked for, said and shows."""

    def __init__(self, window, site: str, name: str):
        self.asked, self.failed, self.said = [], [], []
        page = window.new_page()
        page.set_default_timeout(60_000)
        page.on("request", lambda r: self.asked.append(r.url))
        page.on("requestfailed", lambda r: self.failed.append(r.url))
        page.on(
            "response",
            lambda r: r.status >= 400 and self.failed.append(r.url),
        )
        page.on("console", self._listen)
        page.on("pageerror", lambda e: self.said.append(str(e)))
        page.goto(f"{site}/{name}", wait_until="load")
        page.evaluate(
            "() => window.MathJax && MathJax.startup"
            " ? MathJax.startup.promise : null"
        )
        self.page = page

    def _listen(self, message):
        if message.type in {"error", "warning"}:
            self.said.append(message.text)


LOOK = """() => ({
  ids: [...document.querySelectorAll('[id],a[name]')]
    .map(e => e.id || e.name),
  links: [...document.querySelectorAll('a[href]')]
    .map(e => e.href),
  images: [...document.images].map(e => [
    e.currentSrc || e.src,
    e.hasAttribute('alt') && !/\\.(png|jpg|svg)$/.test(e.alt),
    e.complete && e.naturalWidth > 0 || e.loading == 'lazy']),
  wide: document.documentElement.scrollWidth
    - document.documentElement.clientWidth,
  raw: [...document.querySelectorAll('.math')]
    .filter(e => !e.querySelector('mjx-container')).length,
  faulty: document.querySelectorAll('mjx-merror').length,
  theme: document.documentElement.dataset.theme || '',
  heads: document.querySelectorAll('article h1').length,
})"""


def see(browser, site, names, size, scheme="light") -> dict[str, dict]:
    """{page: what was seen}, all in one window."""
    width, height = WIDTHS[size]
    window = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme
    )
    seen = {}
    try:
        for name in names:
            visit = Visit(window, site, name)
            seen[name] = visit.page.evaluate(LOOK) | {
                "asked": visit.asked,
                "failed": visit.failed,
                "said": visit.said,
            }
            visit.page.close()
    finally:
        window.close()
    return seen


@pytest.fixture(scope="module", params=list(WIDTHS))
def walk(request, browser, site):
    """What was seen of the whole book at one width."""
    return see(browser, site, pages(), request.param)


def faults(walk, key, wrong=bool):
    return {
        name: seen[key] for name, seen in walk.items() if wrong(seen[key])
    }


def test_pages_are_silent(walk):
    assert not faults(walk, "said")


def test_all_that_a_page_asks_for_is_there(walk):
    assert not faults(walk, "failed")


def outside(seen, site) -> list[str]:
    here = (f"{site}/", "data:", "blob:")
    return [url for url in seen["asked"] if not url.startswith(here)]


def test_nothing_is_asked_of_another_server(walk, site):
    assert not {
        name: found
        for name, seen in walk.items()
        if (found := outside(seen, site))
    }


def test_no_page_scrolls_sideways(walk):
    assert not faults(walk, "wide", lambda pixels: pixels > 1)


def test_mathematics_is_set(walk):
    assert not faults(walk, "raw")
    assert not faults(walk, "faulty")


def test_pictures_are_there_and_described(walk):
    assert not {
        name: bad
        for name, seen in walk.items()
        if (bad := [i for i in seen["images"] if not (i[1] and i[2])])
    }


def test_every_page_has_one_title(walk):
    assert not {
        name: seen["heads"]
        for name, seen in walk.items()
        if name.startswith(("book/", "notebooks/")) and seen["heads"] != 1
    }


def test_internal_links_lead_somewhere(walk, site):
    dead = []
    for name, seen in walk.items():
        for link in seen["links"]:
            if not link.startswith(site):
                continue
            where, anchor = urldefrag(link)
            target = unquote(urlparse(where).path).lstrip("/")
            target = target or "index.html"
            target = redirects().get(target, target)
            if target in walk:
                ids = walk[target]["ids"]
                alive = not anchor or unquote(anchor) in ids
            else:
                alive = (HTML / target).is_file()
            if not alive:
                dead.append(f"{name} -> {target}#{anchor}")
    assert not sorted(set(dead))


def test_colab_links_are_well_formed(walk):
    right = {template.colab_url(path.name) for path in chapters()}
    found = {
        link.split("#")[0]
        for seen in walk.values()
        for link in seen["links"]
        if "colab.research" in link
    }
    assert found <= right | {"https://colab.research.google.com/"}
    for path in chapters():
        page = f"notebooks/{path.stem}.html"
        assert template.colab_url(path.name) in walk[page]["links"]


def test_the_first_page_leads_into_the_book(walk):
    assert redirects()["index.html"] == "book/intro.html"
    assert set(redirects().values()) <= set(walk)


def test_links_to_the_source_name_one_repository(walk):
    url, _ = template.repository()
    owner = url.removesuffix(url.rpartition("/")[2])
    for name, seen in walk.items():
        for link in seen["links"]:
            if link.startswith(owner):
                assert re.match(re.escape(url) + r"(/|$)", link), name


def test_dark_pages_are_dark_and_silent(browser, site):
    walk = see(browser, site, pages(), "phone", "dark")
    assert not faults(walk, "said")
    assert not faults(walk, "theme", lambda theme: theme != "dark")


BAD_PAGE = """<!doctype html><title>bad</title><article>
<h1>One</h1><h1>Two</h1><div style="width:2000px">wide</div>
<span class="math">\\(x^2\\)</span><img src="gone.png">
<img src="http://localhost:1/x.png" alt="elsewhere"></article>
<script>console.error("first"); undefined_function()</script>"""


def test_a_bad_page_would_be_found(browser, tmp_path):
    (tmp_path / "bad.html").write_text(BAD_PAGE)
    with served(tmp_path) as site:
        seen = see(browser, site, ["bad.html"], "phone")["bad.html"]
        assert outside(seen, site) == ["http://localhost:1/x.png"]
    assert any("first" in said for said in seen["said"])
    assert any("undefined_function" in said for said in seen["said"])
    assert any("gone.png" in url for url in seen["failed"])
    assert seen["wide"] > 1000
    assert seen["raw"] == 1
    assert seen["heads"] == 2
    assert [described for _, described, _ in seen["images"]] == [
        False,
        True,
    ]
    assert not any(loaded for _, _, loaded in seen["images"])


def test_scripts_name_no_other_server():
    """Nothing waits in a page to be loaded later, either."""
    if not (HTML / "index.html").exists():
        skip_or_fail("the book is not built: run `make book` first")
    tag = re.compile(
        r"<(?:script|link|img|iframe|source)\b[^>]*?\s(?:src|href)="
        r"[\"']([^\"']+)",
        re.IGNORECASE,
    )
    guilty = {}
    for name in every_page():
        text = (HTML / name).read_text(encoding="utf-8")
        base = f"http://here/{name}"
        outside = [
            found
            for found in tag.findall(text)
            if urlparse(urljoin(base, found)).hostname != "here"
            and not found.startswith("data:")
        ]
        if outside or "unpkg.com" in text:
            guilty[name] = outside
    assert not guilty
