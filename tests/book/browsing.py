"""The built book in a browser: what the page tests share.

Without a browser or a book the tests skip and say why; under CI=true such
a skip fails.
"""

import functools
import http.server
import os
import re
import shutil
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from nbkit import ROOT
from skips import skip_or_fail

HTML = Path(os.environ.get("RSIR_BOOK", ROOT / "_build/html"))
BROWSERS = "chromium chromium-browser google-chrome google-chrome-stable".split()
FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run
--disable-background-networking --disable-component-update --disable-sync""".split()
WIDTHS = {
    "desktop": {"width": 1300, "height": 900},
    "phone": {"width": 390, "height": 844},
}
REDIRECT = re.compile(r'http-equiv="Refresh" content="0; url=([^"]+)"')


def every_page() -> list[str]:
    names = (path.relative_to(HTML).as_posix() for path in HTML.rglob("*.html"))
    return sorted(name for name in names if "_static/" not in name)


@functools.cache
def redirects() -> dict[str, str]:
    """{page: the page that it leads to} of pages without a text."""
    hits = {n: REDIRECT.search((HTML / n).read_text("utf-8")) for n in every_page()}
    return {name: hit.group(1) for name, hit in hits.items() if hit}


def pages() -> list[str]:
    return [name for name in every_page() if name not in redirects()]


@contextmanager
def served(folder: Path):
    """The address of `folder`, served on this machine."""
    kind = http.server.SimpleHTTPRequestHandler
    quiet = type("Quiet", (kind,), {"log_message": lambda *_: None})
    handler = functools.partial(quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def built():
    if not (HTML / "index.html").exists():
        skip_or_fail("the book is not built: run `make book` first")
    return HTML


@pytest.fixture(scope="module")
def site(built):
    with served(built) as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    found = [os.environ.get("RSIR_CHROMIUM"), *map(shutil.which, BROWSERS)]
    if not any(found):
        skip_or_fail("no Chromium or Chrome on this machine")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        skip_or_fail("playwright is not installed")
    path = next(filter(None, found))
    with sync_playwright() as play:
        one = play.chromium.launch(executable_path=path, args=FLAGS)
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
        page.on("response", lambda r: r.status >= 400 and self.failed.append(r.url))
        loud = {"error", "warning"}
        page.on("console", lambda m: m.type in loud and self.said.append(m.text))
        page.on("pageerror", lambda e: self.said.append(str(e)))
        page.goto(f"{site}/{name}", wait_until="load")
        page.evaluate(
            "() => window.MathJax && MathJax.startup ? MathJax.startup.promise : null"
        )
        self.page = page


LOOK = """() => ({
  ids: [...document.querySelectorAll('[id],a[name]')].map(e => e.id || e.name),
  links: [...document.querySelectorAll('a[href]')].map(e => e.href),
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
    seen = {}
    with browser.new_context(viewport=WIDTHS[size], color_scheme=scheme) as window:
        for name in names:
            visit = Visit(window, site, name)
            seen[name] = visit.page.evaluate(LOOK)
            for key in ("asked", "failed", "said"):
                seen[name][key] = getattr(visit, key)
            visit.page.close()
    return seen
